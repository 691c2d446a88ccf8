import { capabilitiesOf, healthOf } from "../mesh/fleet-agent.ts";
import type { Member } from "../mesh/membership/member.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { MeshOptions } from "../mesh/options.ts";
import type { SelfDescription } from "../mesh/records/record-codec.ts";
import type { FleetAgent, MeshView } from "../mesh/view.ts";
import type { Clock } from "../platform/clock.ts";
import type { Network, NetworkCounters } from "../platform/network.ts";

const NO_COUNTERS: NetworkCounters = {
  sentBytes: 0,
  receivedBytes: 0,
  requestsSent: 0,
  requestsServed: 0,
  messagesPublished: 0,
  messagesDelivered: 0,
  dials: 0,
  dialsFailed: 0,
  refusals: {},
};

/** @returns the view of an agent whose mesh is off: it knows itself */
export function lonelyMesh(self: () => SelfDescription): MeshView {
  const counts = { alive: 1, suspect: 0, dead: 0, left: 0 };
  return {
    status: () => ({
      enabled: false,
      addresses: [],
      transports: [],
      privateNetwork: false,
      members: counts,
      links: 0,
      partitionScore: 0,
      bootstrap: [],
      topics: [],
      counters: NO_COUNTERS,
    }),
    peers: () => [],
    agents: () => [
      {
        ...described(self()),
        self: true,
        state: "alive",
        forMs: 0,
        heardOfMsAgo: 0,
        linked: false,
      },
    ],
    counters: () => NO_COUNTERS,
    counts: () => counts,
    join: () => Promise.resolve([]),
    disconnect: () => Promise.resolve(false),
  };
}

/** @returns the view of a node */
export function meshView(
  node: MeshNode,
  network: Network,
  options: MeshOptions,
  clock: Clock,
): MeshView {
  const agentOf = (member: Member, linked: ReadonlySet<string>): FleetAgent => {
    const nowMs = clock.monotonicMs();
    const { record, state, sinceMs, heardOfAtMs } = member;
    const self = record.peerId === node.id;
    return {
      ...described(record),
      peerId: record.peerId,
      self,
      state,
      forMs: Math.max(0, nowMs - sinceMs),
      heardOfMsAgo: self ? 0 : Math.max(0, nowMs - heardOfAtMs),
      linked: linked.has(record.peerId),
    };
  };
  return {
    status: () => ({
      enabled: true,
      peerId: node.id,
      addresses: node.addresses(),
      transports: options.transports,
      privateNetwork: options.networkKeyFile !== undefined,
      members: node.memberCounts(),
      links: network.links().length,
      partitionScore: node.partitionScore(),
      bootstrap: node.bootstrapStatus(),
      topics: node.topics(),
      counters: network.counters(),
    }),
    peers: () =>
      node
        .peers()
        .toSorted((a, b) => a.link.openedAtMs - b.link.openedAtMs)
        .map(({ id, link, member }) => ({
          peerId: id,
          direction: link.direction,
          transport: link.transport,
          address: link.address,
          linkedForMs: Math.max(0, clock.monotonicMs() - link.openedAtMs),
          ...(member !== undefined && { agentId: member.record.agentId, state: member.state }),
        })),
    agents: () => {
      const linked = new Set(network.links().map(({ peer }) => peer));
      return [...node.members()]
        .map((member) => agentOf(member, linked))
        .sort((a, b) => compare(a.agentId, b.agentId) || compare(a.peerId ?? "", b.peerId ?? ""));
    },
    counters: () => network.counters(),
    counts: () => node.memberCounts(),
    join: (addresses) => node.join(addresses),
    disconnect: (peer) => node.unlink(peer),
  };
}

type Said = Pick<SelfDescription, "agentId" | "version" | "addresses"> & {
  readonly capabilities?: SelfDescription["capabilities"] | undefined;
  readonly health?: SelfDescription["health"] | undefined;
};

function described(said: Said) {
  const { agentId, version, addresses } = said;
  const capabilities = capabilitiesOf(said.capabilities);
  const health = healthOf(said.health);
  return {
    agentId,
    version,
    addresses,
    ...(capabilities !== undefined && { capabilities }),
    ...(health !== undefined && { health }),
  };
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
