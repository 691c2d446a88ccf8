import type { BridgeStatus, BridgeView, GatewayStatus } from "../mesh/bridge/view.ts";
import type { MetricSample } from "../platform/metrics-registry.ts";
import type { Add } from "./add-metric.ts";

/** Registers `agent_mesh_bridge_*`. An agent without a bridge has no samples. */
export function addBridge(gauge: Add, counter: Add, bridge: BridgeView): void {
  const read =
    <T>(from: (status: BridgeStatus) => T) =>
    (): T | undefined => {
      const status = bridge.status();
      return status.enabled ? from(status) : undefined;
    };
  const door = (from: (listen: NonNullable<BridgeStatus["listen"]>) => number) =>
    read(({ listen }) => (listen === undefined ? undefined : from(listen)));
  const gateways = (from: (gateway: GatewayStatus) => number) =>
    read((status) =>
      status.gateways.map((gateway) => ({
        labels: { gateway: gateway.name },
        value: from(gateway),
      })),
    );

  gauge(
    "bridge_links",
    "Links that stand: attached devices, and gateways that this agent is attached to.",
    read(({ links }) => links.length),
  );
  gauge(
    "bridge_gateway_attached",
    "1 while the agent is attached to the gateway.",
    gateways(({ state }) => Number(state === "attached")),
  );
  counter(
    "bridge_gateway_attached_total",
    "Links to the gateway that stood.",
    gateways(({ attached }) => attached),
  );
  counter(
    "bridge_gateway_sent_bytes_total",
    "Payload bytes sent to the gateway.",
    gateways(({ sentBytes }) => sentBytes),
  );
  counter(
    "bridge_gateway_received_bytes_total",
    "Payload bytes that came from the gateway.",
    gateways(({ receivedBytes }) => receivedBytes),
  );
  gauge(
    "bridge_agents",
    "Agents known on all sides.",
    read(({ counters }) => counters.agentsNow),
  );
  gauge(
    "bridge_subscribers",
    "Programs that listen to topics.",
    read(({ counters }) => counters.subscribersNow),
  );
  counter(
    "bridge_messages_total",
    "Messages: up out of the mesh, down into it, or in over a link.",
    read(({ counters }) => [
      { labels: { direction: "up" }, value: counters.messagesUp },
      { labels: { direction: "down" }, value: counters.messagesDown },
      { labels: { direction: "linked" }, value: counters.messagesLinked },
    ]),
  );
  counter(
    "bridge_requests_total",
    "Requests that were passed on.",
    read(({ counters }) => counters.requestsServed),
  );
  counter(
    "bridge_repeats_total",
    "Messages that were not passed on since they had been here, or over too many bridges.",
    read(({ counters }) => byLabel("verdict", counters.repeats)),
  );
  counter(
    "bridge_refusals_total",
    "What did not cross the bridge, by code.",
    read(({ counters }) => byLabel("code", counters.refusals)),
  );
  counter(
    "bridge_calls_total",
    "Calls at the door that have ended, by gRPC status.",
    read(({ listen }) => byLabel("status", listen?.statuses ?? {})),
  );
  gauge(
    "bridge_calls",
    "Calls at the door that go on.",
    door(({ callsNow }) => callsNow),
  );
  gauge(
    "bridge_connections",
    "Connections at the door.",
    door(({ connectionsNow }) => connectionsNow),
  );
  counter(
    "bridge_connections_refused_total",
    "Connections beyond the bound.",
    door(({ connectionsRefused }) => connectionsRefused),
  );
  counter(
    "bridge_received_bytes_total",
    "Message bytes that came in at the door.",
    door(({ receivedBytes }) => receivedBytes),
  );
  counter(
    "bridge_sent_bytes_total",
    "Message bytes that went out at the door.",
    door(({ sentBytes }) => sentBytes),
  );
}

function byLabel(label: string, counts: Readonly<Record<string, number>>): MetricSample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));
}
