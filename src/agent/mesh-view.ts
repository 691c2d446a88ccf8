import { confidenceOf, evidenceAgeMs } from "../mesh/fleet/confidence.ts";
import { capabilitiesOf, healthOf } from "../mesh/fleet-agent.ts";
import type { Member } from "../mesh/membership/member.ts";
import { defaultMembershipOptions } from "../mesh/membership/options.ts";
import { refreshMs } from "../mesh/membership/refresh.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { MeshOptions } from "../mesh/options.ts";
import type { SelfDescription } from "../mesh/records/record-codec.ts";
import type { SurveyRow } from "../mesh/survey/row.ts";
import type { SurveyState } from "../mesh/survey/runner.ts";
import type { FleetAgent, FleetSurvey, MeshView } from "../mesh/view.ts";
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
  const size = { agents: 1, relativeError: 0 };
  const agents = (): readonly FleetAgent[] => [
    {
      ...described(self()),
      self: true,
      state: "alive",
      forMs: 0,
      heardOfMsAgo: 0,
      ageMs: 0,
      confidence: 1,
      linked: false,
    },
  ];
  return {
    status: () => ({
      enabled: false,
      addresses: [],
      transports: [],
      privateNetwork: false,
      members: { ...counts, estimated: size },
      links: 0,
      partitionScore: 0,
      bootstrap: [],
      topics: [],
      counters: NO_COUNTERS,
    }),
    peers: () => [],
    agents,
    size: () => size,
    survey: () => Promise.resolve(undefined),
    currentSurvey: () => undefined,
    surveyedAgents: agents,
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
  const sureness = (
    evidence: Pick<FleetAgent, "state" | "linked" | "forMs" | "heardOfMsAgo">,
  ): Pick<FleetAgent, "ageMs" | "confidence"> => {
    const { state, linked, forMs, heardOfMsAgo } = evidence;
    const { alive, suspect } = node.memberCounts();
    const ageMs = evidenceAgeMs(state, heardOfMsAgo, forMs);
    const interval = refreshMs(alive + suspect, defaultMembershipOptions.refreshIntervalMs);
    const confidence = confidenceOf({ state, linked, ageMs, refreshMs: interval });
    return { ageMs, confidence: Math.round(1_000 * confidence) / 1_000 };
  };
  const agentOf = (member: Member, linked: ReadonlySet<string>): FleetAgent => {
    const nowMs = clock.monotonicMs();
    const { record, state, sinceMs, heardOfAtMs } = member;
    const self = record.peerId === node.id;
    const seen = {
      state,
      forMs: Math.max(0, nowMs - sinceMs),
      heardOfMsAgo: self ? 0 : Math.max(0, nowMs - heardOfAtMs),
      linked: linked.has(record.peerId),
    };
    return {
      ...described(record),
      peerId: record.peerId,
      self,
      ...seen,
      ...(self ? { ageMs: 0, confidence: 1 } : sureness(seen)),
    };
  };
  const agents = (): FleetAgent[] => {
    const linked = new Set(network.links().map(({ peer }) => peer));
    return [...node.members()].map((member) => agentOf(member, linked));
  };
  const rowAgent = (row: SurveyRow): FleetAgent => {
    const heardOfMsAgo = Math.max(0, clock.monotonicMs() - row.heardOfAtMs);
    const seen = { state: row.state, forMs: heardOfMsAgo, heardOfMsAgo, linked: false };
    return { ...surveyed(row), self: false, ...seen, ...sureness(seen) };
  };
  return {
    status: () => ({
      enabled: true,
      peerId: node.id,
      addresses: node.addresses(),
      transports: options.transports,
      privateNetwork: options.networkKeyFile !== undefined,
      members: { ...node.memberCounts(), estimated: node.fleetSize() },
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
    agents: () => agents().sort(byName),
    size: () => node.fleetSize(),
    survey: async (waitMs) => progressOf(await node.surveys()?.survey(waitMs)),
    currentSurvey: () => progressOf(node.surveys()?.current()),
    surveyedAgents: () => {
      const others = [...(node.surveys()?.current()?.rows.values() ?? [])]
        .filter(({ peerId }) => node.member(peerId) === undefined)
        .map(rowAgent);
      return [...agents(), ...others].sort(byName);
    },
    counters: () => network.counters(),
    counts: () => node.memberCounts(),
    join: (addresses) => node.join(addresses),
    disconnect: (peer) => node.unlink(peer),
  };
}

function progressOf(state: SurveyState | undefined): FleetSurvey | undefined {
  if (state === undefined) return undefined;
  const { rows: _, progress, ...rest } = state;
  return { ...progress, ...rest, state: rest.ended === undefined ? "running" : "done" };
}

/** What a survey keeps of an agent, in the form of all others. */
function surveyed(row: SurveyRow) {
  const { peerId, agentId, version, status, powerMode } = row;
  const { batteryPercent, queueUpdates, uplinkUp } = row;
  return {
    agentId,
    peerId,
    version,
    ...(row.capabilities !== undefined && { capabilities: row.capabilities }),
    health: {
      status,
      powerMode,
      ...(batteryPercent !== undefined && { batteryPercent }),
      ...(queueUpdates !== undefined && { queueUpdates }),
      ...(uplinkUp !== undefined && { uplinkUp }),
    },
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

function byName(a: FleetAgent, b: FleetAgent): number {
  return compare(a.agentId, b.agentId) || compare(a.peerId ?? "", b.peerId ?? "");
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
