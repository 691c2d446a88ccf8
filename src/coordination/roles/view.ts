import type { PeerId } from "../../platform/signer.ts";
import type { AssignmentReason } from "./assignment.ts";
import type { CoordinationRole, LearningRole } from "./own-roles.ts";
import type { Standing } from "./suitability.ts";

/** An agent, as far as it is known here. */
export interface RoleHolder {
  readonly peerId: PeerId;
  /** Absent for one that is not in this agent's table. */
  readonly agentId?: string;
  readonly self: boolean;
}

/** An agent with what its roles follow from. */
export interface RatedAgent extends RoleHolder {
  readonly agentId: string;
  readonly standing: Standing;
  /** 0 … 820. */
  readonly score: number;
  readonly coordination: CoordinationRole;
  readonly learning: readonly LearningRole[];
}

/** The assignment in force, as this agent knows it. */
export interface AssignmentView {
  readonly term: number;
  /** All on mains; without a quorum nothing can be agreed on. */
  readonly quorum: boolean;
  readonly coordinator?: RoleHolder;
  /** Keeps the assignment where nobody is on mains. */
  readonly caretaker?: RoleHolder;
  readonly validators: readonly RoleHolder[];
  readonly aggregators: readonly RoleHolder[];
  readonly reason: AssignmentReason;
  /** How long its maker has led. */
  readonly ledForMs: number;
  /** How long ago the maker gave a sign of life. */
  readonly renewedMsAgo: number;
}

/** Roles, in short. */
export interface RolesSummary {
  readonly enabled: boolean;
  /** Absent where roles are off. */
  readonly self?: RatedAgent;
  /** Absent while nobody leads. */
  readonly assignment?: AssignmentView;
  readonly counters: {
    /** Assignments that came into force here. */
    readonly adopted: number;
    /** Those that this agent made. */
    readonly made: number;
    /** Changes of this agent's own roles. */
    readonly changes: number;
  };
}

/** Roles with what they follow from. */
export interface RolesStatus extends RolesSummary {
  /** Living agents of the table that take part, most suitable first; the first 32. */
  readonly candidates: readonly RatedAgent[];
}

/** Roles, for REST, CLI and metrics. */
export interface RolesView {
  /** Cheap, however large the fleet is. */
  summary(): RolesSummary;
  /** Looks at every agent of the table. */
  status(): RolesStatus;
}

const OFF: RolesStatus = {
  enabled: false,
  candidates: [],
  counters: { adopted: 0, made: 0, changes: 0 },
};

/** Roles are off. */
export const noRoles: RolesView = { summary: () => OFF, status: () => OFF };
