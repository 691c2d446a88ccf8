import type { Config } from "../config/schema.ts";
import { committeeSizes } from "../coordination/roles/committee-sizes.ts";
import type { RoleChange } from "../coordination/roles/effects.ts";
import { defaultRoleOptions } from "../coordination/roles/options.ts";
import { rolesOf } from "../coordination/roles/own-roles.ts";
import { ROLES_PROTOCOL, RolesRunner } from "../coordination/roles/runner.ts";
import {
  compareCandidates,
  ROLES_FEATURE,
  standingOf,
  suitabilityOf,
} from "../coordination/roles/suitability.ts";
import type {
  AssignmentView,
  RatedAgent,
  RoleHolder,
  RolesSummary,
  RolesView,
} from "../coordination/roles/view.ts";
import type { ResourceMonitor } from "../device/resource-monitor.ts";
import type { Member } from "../mesh/membership/member.ts";
import { defaultMembershipOptions } from "../mesh/membership/options.ts";
import { isLiving } from "../mesh/membership/table.ts";
import { meshPace } from "../mesh/pace.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { PeerId } from "../platform/signer.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import type { MeshPart } from "./mesh-part.ts";

/** Most agents that are shown with what their roles follow from. */
const CANDIDATES_MAX = 32;

/** Role negotiation as a part of the agent. */
export interface RolesPart {
  readonly view: RolesView;
  /** Once the mesh runs. */
  start(): void;
  /** Before the mesh stops. */
  stop(): Promise<void>;
}

/** @returns what an agent tells the fleet that it offers for roles; nothing where it takes no part */
export function rolesFeatures({ mesh, coordination }: Config): readonly string[] {
  const { enabled, skills } = coordination.roles;
  return mesh.enabled === true && enabled ? [ROLES_FEATURE, ...skills] : [];
}

/** @returns a negotiation over the mesh that follows the power policy */
export function createRolesPart(
  config: Config,
  platform: Pick<AgentPlatform, "clock" | "random" | "logger">,
  parts: { readonly mesh: MeshPart; readonly device: ResourceMonitor; readonly events: EventSink },
): RolesPart {
  const { mesh, device, events } = parts;
  const { node, network, access, verifier, signer } = mesh;
  const { enabled: _, skills: __, committeeMax, ...options } = config.coordination.roles;
  const { clock } = platform;
  let changes = 0;
  access.requirements.protocol(ROLES_PROTOCOL.id, { send: "membership" });
  const runner = new RolesRunner({
    network,
    signer,
    verifier,
    clock,
    random: platform.random.fork("roles"),
    logger: platform.logger.child("roles"),
    gate: access.gate,
    members: {
      self: node.id,
      all: () => node.members(),
      get: (peer) => node.member(peer),
      isPartial: () => node.isPartial(),
    },
    options: {
      ...defaultRoleOptions,
      ...options,
      committeeSizes: committeeSizes(config.consensus.protocol, committeeMax),
    },
    onChange: (change) => {
      if (change.kind === "roles") changes++;
      node.seek("roles", holdersIn(runner));
      tell(events, change, runner);
    },
  });
  mesh.onNetwork((event) => runner.take(event));
  node.onMember((change) => runner.member(change));
  const follow = (mode: string): void => {
    const { syncIntervalMs } = meshPace(mode).membership;
    runner.setPace(syncIntervalMs / defaultMembershipOptions.pace.syncIntervalMs);
  };
  follow(device.power().mode);
  device.onPowerChange(({ mode }) => follow(mode));
  return {
    view: rolesView(
      node,
      runner,
      config,
      () => clock.monotonicMs(),
      () => changes,
    ),
    start: () => runner.start(),
    stop: () => runner.stop(),
  };
}

/** Everybody has to know those that have roles for all, also where the fleet is larger than its tables. */
function holdersIn(runner: RolesRunner): readonly PeerId[] {
  const assignment = runner.inForce()?.assignment;
  if (assignment === undefined) return [];
  const { maker, validators, aggregators } = assignment;
  return [...new Set([maker, ...validators, ...aggregators])];
}

function tell(events: EventSink, change: RoleChange, runner: RolesRunner): void {
  if (change.kind !== "roles") return;
  const { before, after } = change;
  const assignment = runner.inForce()?.assignment;
  events.emit("roles.changed", {
    coordination: after.coordination,
    learning: after.learning.join(" "),
    coordinationBefore: before.coordination,
    learningBefore: before.learning.join(" "),
    ...(assignment !== undefined && { term: assignment.term, reason: assignment.reason }),
  });
}

function rolesView(
  node: MeshPart["node"],
  runner: RolesRunner,
  config: Config,
  nowMs: () => number,
  changes: () => number,
): RolesView {
  const { needs } = config.coordination.roles;
  const holder = (peerId: PeerId): RoleHolder => {
    const agentId = node.member(peerId)?.record.agentId;
    return { peerId, self: peerId === node.id, ...(agentId !== undefined && { agentId }) };
  };
  const rated = ({ record }: Member): RatedAgent => ({
    peerId: record.peerId,
    agentId: record.agentId,
    self: record.peerId === node.id,
    standing: standingOf(record, true),
    score: suitabilityOf(record),
    ...rolesOf(runner.inForce()?.assignment, record, needs),
  });
  const assignment = (): AssignmentView | undefined => {
    const held = runner.inForce();
    if (held === undefined) return undefined;
    const { term, quorum, maker, validators, aggregators, reason } = held.assignment;
    return {
      term,
      quorum,
      [quorum ? "coordinator" : "caretaker"]: holder(maker),
      validators: validators.map(holder),
      aggregators: aggregators.map(holder),
      reason,
      ledForMs: Math.max(0, nowMs() - held.makerSinceMs),
      renewedMsAgo: Math.max(0, nowMs() - held.renewedAtMs),
    };
  };
  const summary = (): RolesSummary => {
    const self = node.member(node.id);
    const inForce = assignment();
    return {
      enabled: true,
      ...(self !== undefined && { self: rated(self) }),
      ...(inForce !== undefined && { assignment: inForce }),
      counters: { ...runner.counters(), changes: changes() },
    };
  };
  return {
    summary,
    status: () => ({
      ...summary(),
      candidates: [...node.members()]
        .filter(
          ({ state, record }) =>
            isLiving(state) && record.capabilities?.features.includes(ROLES_FEATURE) === true,
        )
        .map(rated)
        .sort((a, b) =>
          compareCandidates({ peer: a.peerId, score: a.score }, { peer: b.peerId, score: b.score }),
        )
        .slice(0, CANDIDATES_MAX),
    }),
  };
}
