import type { RolesSummary, RolesView } from "../coordination/roles/view.ts";
import type { Add } from "./add-metric.ts";

const COORDINATION = ["coordinator", "validator", "worker"] as const;
const LEARNING = ["aggregator", "validator", "trainer"] as const;

/** Registers `agent_mesh_role*`. An agent that takes no part has no samples. */
export function addRoles(gauge: Add, counter: Add, roles: RolesView): void {
  const read =
    <T>(from: (summary: RolesSummary) => T) =>
    (): T | undefined => {
      const summary = roles.summary();
      return summary.enabled ? from(summary) : undefined;
    };
  gauge(
    "role",
    "1 for each role that this agent has, 0 for the others.",
    read(({ self }) => [
      ...COORDINATION.map((role) => ({
        labels: { kind: "coordination", role },
        value: Number(self?.coordination === role),
      })),
      ...LEARNING.map((role) => ({
        labels: { kind: "learning", role },
        value: Number(self?.learning.includes(role) === true),
      })),
    ]),
  );
  gauge(
    "roles_term",
    "Term of the assignment of roles in force; absent while there is none.",
    read(({ assignment }) => assignment?.term),
  );
  gauge(
    "roles_committee",
    "Agents in the committee, the coordinator included; 0 while nobody on mains leads.",
    read(({ assignment }) => (assignment?.quorum === true ? assignment.validators.length + 1 : 0)),
  );
  gauge(
    "roles_score",
    "How suitable this agent is for roles, 0 to 820.",
    read(({ self }) => self?.score),
  );
  counter(
    "roles_assignments_total",
    "Assignments of roles that came into force here, and those that this agent made.",
    read(({ counters }) => [
      { labels: { kind: "adopted" }, value: counters.adopted },
      { labels: { kind: "made" }, value: counters.made },
    ]),
  );
  counter(
    "roles_changes_total",
    "Changes of this agent's own roles.",
    read(({ counters }) => counters.changes),
  );
}
