import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import type { BrokerIntakeStatus } from "./broker-intake.ts";
import type { Receiver } from "./receiver.ts";
import type { ReceiverStatus } from "./view.ts";

/** Adds a receiver's metrics. Each is a plain number that is read at the scrape. */
export function addReceiverMetrics(
  metrics: MetricsRegistry,
  receiver: Receiver,
  roads: {
    readonly httpBytes: () => number;
    /** Brokers by the name of their road. */
    readonly brokers: () => Readonly<Record<string, BrokerIntakeStatus>>;
  },
): void {
  const add = (
    kind: "counter" | "gauge",
    name: string,
    help: string,
    of: (status: ReceiverStatus) => number,
  ): void =>
    metrics.add({
      name: `agent_mesh_receiver_${name}`,
      help,
      kind,
      read: () => [{ value: of(receiver.status()) }],
    });
  add("counter", "accepted_total", "Updates taken.", ({ accepted }) => accepted);
  add("counter", "duplicates_total", "Updates that were there already.", (s) => s.duplicates);
  add("counter", "retired_total", "Updates removed by retention.", ({ retired }) => retired);
  add("counter", "commits_total", "Durable commits.", ({ commits }) => commits);
  add("gauge", "last_commit_seconds", "How long the latest took.", (s) => s.lastCommitMs / 1_000);
  add("gauge", "agents", "Agents known.", ({ agents }) => agents);
  add("gauge", "streams", "Streams known.", ({ streams }) => streams);
  add("gauge", "updates", "Updates kept.", ({ updates }) => updates);
  add("gauge", "bytes", "Bytes of the updates kept, before compression.", ({ bytes }) => bytes);
  add("gauge", "missing_updates", "Updates that agents said will never come.", (s) => s.missing);
  add("gauge", "waiting_updates", "Updates that wait for the disk.", (s) => s.waitingUpdates);
  add("gauge", "store_faulty", "1 while the store can not be written.", (s) =>
    s.storeFault === undefined ? 0 : 1,
  );
  metrics.add({
    name: "agent_mesh_receiver_refused_total",
    help: "Updates refused, by code.",
    kind: "counter",
    read: () =>
      Object.entries(receiver.status().refusedByCode).map(([code, value]) => ({
        labels: { code },
        value,
      })),
  });
  metrics.add({
    name: "agent_mesh_receiver_wire_bytes_total",
    help: "Bytes that came in, headers included.",
    kind: "counter",
    read: () => [
      { labels: { road: "http" }, value: roads.httpBytes() },
      ...Object.entries(roads.brokers()).map(([road, { bytesReceived }]) => ({
        labels: { road },
        value: bytesReceived,
      })),
    ],
  });
  metrics.add({
    name: "agent_mesh_receiver_broker_connected",
    help: "1 while connected to the broker.",
    kind: "gauge",
    read: () =>
      Object.entries(roads.brokers()).map(([road, { connected }]) => ({
        labels: { road },
        value: connected ? 1 : 0,
      })),
  });
  metrics.add({
    name: "agent_mesh_receiver_sink_commits_behind",
    help: "Commits that were not passed on yet.",
    kind: "gauge",
    read: () => {
      const { sink } = receiver.status();
      return sink === undefined ? [] : [{ value: sink.commitsBehind }];
    },
  });
}
