import type { RatedAgent, RoleAssignment } from "./model.ts";

/** Why an assignment took the place of the one before. */
export const REASONS: Readonly<Record<RoleAssignment["reason"], string>> = {
  vacant: "since nobody led",
  better: "as far more suitable",
  members: "last changed when somebody came or went",
  rebalanced: "last changed when others were far more suitable",
};

/** @returns what an agent does: `validator; in learning validator and trainer` */
export function roleWords({
  coordination,
  learning,
}: Pick<RatedAgent, "coordination" | "learning">): string {
  if (learning.length === 0) return `${coordination}; no part in learning`;
  const last = learning.at(-1) ?? "";
  const parts = learning.length === 1 ? last : `${learning.slice(0, -1).join(", ")} and ${last}`;
  return `${coordination}; in learning ${parts}`;
}
