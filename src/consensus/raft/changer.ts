import type { Change, ChangeStep } from "./change.ts";
import { entersJoint, leavesJoint } from "./change.ts";
import type { Configuration } from "./configuration.ts";
import { ascending, isJoint, MEMBERS_MAX, memberIds } from "./configuration.ts";

/**
 * Why a change can not be made. `already-joint`: another one is under way; `not-joint`: there is nothing to leave;
 * `joint`: a simple change while another one is under way; `no-voters`: nobody could agree to it; `removes-all-voters`:
 * nobody would be left to agree to anything; `several-voters`: a simple change could give two disjoint majorities;
 * `too-many-members`: more than {@link MEMBERS_MAX}.
 */
export type ChangeFault =
  | "already-joint"
  | "not-joint"
  | "joint"
  | "no-voters"
  | "removes-all-voters"
  | "several-voters"
  | "too-many-members";

/** The next configuration, or why there is none. */
export type ChangeResult = Configuration | ChangeFault;

/** The configuration after a change, by the way that the change asks for. */
export function changed(before: Configuration, change: Change): ChangeResult {
  if (leavesJoint(change)) return leaveJoint(before);
  if (entersJoint(change))
    return enterJoint(before, change.steps, change.transition !== "explicit");
  return simpleChange(before, change.steps);
}

/** Makes the voters of now the outgoing majority, and the changed ones the incoming one. */
export function enterJoint(
  before: Configuration,
  steps: readonly ChangeStep[],
  autoLeave: boolean,
): ChangeResult {
  if (isJoint(before)) return "already-joint";
  if (before.voters.length === 0) return "no-voters";
  return new Draft({ ...before, outgoing: before.voters, autoLeave }).taking(steps);
}

/** Ends the joint configuration: the outgoing majority has no say any more, and who waited for that becomes a learner. */
export function leaveJoint(before: Configuration): ChangeResult {
  if (!isJoint(before)) return "not-joint";
  const { voters, learners, learnersNext } = before;
  return {
    voters,
    outgoing: [],
    learners: ascending([...learners, ...learnersNext]),
    learnersNext: [],
    autoLeave: false,
  };
}

/** A change without a joint configuration: it may add or remove one voter at most (Ongaro 2014, section 4.1). */
export function simpleChange(before: Configuration, steps: readonly ChangeStep[]): ChangeResult {
  if (isJoint(before)) return "joint";
  const after = new Draft(before).taking(steps);
  if (typeof after === "string") return after;
  const differing = after.voters.filter((id) => !before.voters.includes(id)).length;
  const missing = before.voters.filter((id) => !after.voters.includes(id)).length;
  return differing + missing > 1 ? "several-voters" : after;
}

/** A configuration while steps are taken. */
class Draft {
  readonly #before: Configuration;
  readonly #voters: Set<number>;
  readonly #learners: Set<number>;
  readonly #learnersNext: Set<number>;

  constructor(before: Configuration) {
    this.#before = before;
    this.#voters = new Set(before.voters);
    this.#learners = new Set(before.learners);
    this.#learnersNext = new Set(before.learnersNext);
  }

  taking(steps: readonly ChangeStep[]): ChangeResult {
    for (const { kind, id } of steps) {
      if (id === 0) continue;
      if (kind === "add-voter") this.#addVoter(id);
      else if (kind === "add-learner") this.#addLearner(id);
      else if (kind === "remove") this.#remove(id);
    }
    if (this.#voters.size === 0) return "removes-all-voters";
    const after: Configuration = {
      voters: ascending(this.#voters),
      outgoing: this.#before.outgoing,
      learners: ascending(this.#learners),
      learnersNext: ascending(this.#learnersNext),
      autoLeave: this.#before.autoLeave,
    };
    return memberIds(after).length > MEMBERS_MAX ? "too-many-members" : after;
  }

  #addVoter(id: number): void {
    this.#remove(id);
    this.#voters.add(id);
  }

  /** An outgoing voter keeps its vote until the joint configuration is left, and is a learner only then. */
  #addLearner(id: number): void {
    this.#remove(id);
    if (this.#before.outgoing.includes(id)) this.#learnersNext.add(id);
    else this.#learners.add(id);
  }

  #remove(id: number): void {
    this.#voters.delete(id);
    this.#learners.delete(id);
    this.#learnersNext.delete(id);
  }
}
