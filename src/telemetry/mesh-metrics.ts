import type { MeshView } from "../mesh/view.ts";
import type { MetricSample, MetricsRegistry } from "../platform/metrics-registry.ts";

/** Numbers of access control that only grow, by what they count. */
export interface AccessCounts {
  /** Offences of peers by kind. */
  offences(): Readonly<Record<string, number>>;
  bans(): number;
  /** What came and was not taken, by kind. */
  untaken(): Readonly<Record<string, number>>;
  /** Requests of the surveys of others, by what became of them. */
  surveys(): Readonly<Record<string, number>>;
}

/** Registers the metrics of the mesh; where it is off there are none. */
export function registerMeshMetrics(
  registry: MetricsRegistry,
  mesh: MeshView,
  access: AccessCounts,
): void {
  const add = (
    kind: "counter" | "gauge",
    name: string,
    help: string,
    read: () => number | readonly MetricSample[],
  ): void =>
    registry.add({
      name: `agent_mesh_${name}`,
      help,
      kind,
      read: () => {
        const value = read();
        return typeof value === "number" ? [{ value }] : value;
      },
    });
  add("gauge", "mesh_agents", "Agents of the fleet that are known, by state.", () =>
    labelled("state", { ...mesh.counts() }),
  );
  add(
    "gauge",
    "mesh_fleet_agents_estimated",
    "Agents of the fleet, those that this one has no room for too.",
    () => mesh.size().agents,
  );
  add("counter", "mesh_survey_requests_total", "Surveys of others, by what became of them.", () =>
    labelled("outcome", access.surveys()),
  );
  add("gauge", "mesh_links", "Neighbours, by the way their bytes travel.", () =>
    labelled("transport", countBy(mesh.peers().map(({ transport }) => transport))),
  );
  add(
    "gauge",
    "mesh_partition_score",
    "Share of the fleet that was there lately and is out of reach, 0–1.",
    () => mesh.status().partitionScore,
  );
  add(
    "counter",
    "mesh_sent_bytes_total",
    "Payload sent to neighbours.",
    () => mesh.counters().sentBytes,
  );
  add(
    "counter",
    "mesh_received_bytes_total",
    "Payload taken from neighbours.",
    () => mesh.counters().receivedBytes,
  );
  add(
    "counter",
    "mesh_requests_sent_total",
    "Requests to neighbours.",
    () => mesh.counters().requestsSent,
  );
  add(
    "counter",
    "mesh_requests_served_total",
    "Requests of neighbours that were answered.",
    () => mesh.counters().requestsServed,
  );
  add(
    "counter",
    "mesh_messages_published_total",
    "Messages published to topics.",
    () => mesh.counters().messagesPublished,
  );
  add(
    "counter",
    "mesh_messages_delivered_total",
    "Messages of topics that were new and valid.",
    () => mesh.counters().messagesDelivered,
  );
  add("counter", "mesh_dials_total", "Links that were tried.", () => mesh.counters().dials);
  add(
    "counter",
    "mesh_dials_failed_total",
    "Links that could not be opened.",
    () => mesh.counters().dialsFailed,
  );
  add("counter", "mesh_refusals_total", "What was refused to peers, by code.", () =>
    labelled("code", mesh.counters().refusals),
  );
  add("counter", "mesh_offences_total", "Rules that peers broke, by kind.", () =>
    labelled("kind", access.offences()),
  );
  add(
    "counter",
    "mesh_untaken_total",
    "Records and messages that were replayed, older than what is known, or malformed, by kind.",
    () => labelled("kind", access.untaken()),
  );
  add("gauge", "mesh_bans", "Peers that are kept away.", () => access.bans());
}

function labelled(label: string, values: Readonly<Record<string, number>>): MetricSample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
