import type { KnownRecord } from "../../mesh/records/known-record.ts";
import type { KnownAssignment } from "./assignment.ts";
import type { RoleNeeds } from "./options.ts";
import { canTrain, standingOf } from "./suitability.ts";

/** Part in what agents do together: the coordinator leads the committee, validators are its other members. */
export type CoordinationRole = "coordinator" | "validator" | "worker";

/** Part in learning. In a small fleet one agent has several; without any it does not take part. */
export type LearningRole = "aggregator" | "validator" | "trainer";

/** What one agent is. */
export interface AgentRoles {
  readonly coordination: CoordinationRole;
  /** In this order, each once. */
  readonly learning: readonly LearningRole[];
}

/**
 * What an agent is by an assignment and by what it says of itself: who went on battery is out of the committee at once,
 * whatever the assignment says. Trainers are in no list; everybody finds out alike who they are.
 * @param assignment in force; undefined while there is none
 */
export function rolesOf(
  assignment: KnownAssignment | undefined,
  record: KnownRecord,
  needs: Pick<RoleNeeds, "trainer">,
): AgentRoles {
  const standing = standingOf(record, true);
  const peer = record.peerId;
  const coordination = coordinationOf(assignment, record);
  const learning: LearningRole[] = [];
  const mayAggregate = standing === (assignment?.quorum === true ? "quorum" : "reserve");
  if (mayAggregate && assignment?.aggregators.includes(peer) === true) learning.push("aggregator");
  if (coordination !== "worker") learning.push("validator");
  if (canTrain(record, needs.trainer)) learning.push("trainer");
  return { coordination, learning };
}

function coordinationOf(
  assignment: KnownAssignment | undefined,
  record: KnownRecord,
): CoordinationRole {
  if (assignment?.quorum !== true || standingOf(record, true) !== "quorum") return "worker";
  if (assignment.maker === record.peerId) return "coordinator";
  return assignment.validators.includes(record.peerId) ? "validator" : "worker";
}

/** @returns whether both are the same */
export function areSameRoles(a: AgentRoles, b: AgentRoles): boolean {
  return a.coordination === b.coordination && a.learning.join() === b.learning.join();
}
