/** The most members that a group can have, learners among them. */
export const MEMBERS_MAX = 128;

/**
 * Who belongs to the group. All lists are ascending and without repetition. While `outgoing` is not empty, both it and
 * `voters` have to agree (joint consensus, Ongaro 2014, section 4.3).
 */
export interface Configuration {
  readonly voters: readonly number[];
  /** The voters before the change that is under way; empty when there is none. */
  readonly outgoing: readonly number[];
  /** They get the log and have no vote. */
  readonly learners: readonly number[];
  /** Voters of `outgoing` that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** The leader leaves the joint configuration without being asked. */
  readonly autoLeave: boolean;
}

/** Nobody belongs to it: of a node that waits to be told. */
export const NO_MEMBERS: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Whether two majorities have to agree. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** Whether it has a vote, in either majority. */
export function isVoter({ voters, outgoing }: Configuration, id: number): boolean {
  return voters.includes(id) || outgoing.includes(id);
}

/** Everybody with a vote, ascending. */
export function voterIds({ voters, outgoing }: Configuration): readonly number[] {
  return outgoing.length === 0 ? voters : ascending([...voters, ...outgoing]);
}

/** Everybody, ascending. Who becomes a learner next still is a voter. */
export function memberIds({ voters, outgoing, learners }: Configuration): readonly number[] {
  return ascending([...voters, ...outgoing, ...learners]);
}

/** Sorts and leaves repetitions out. */
export function ascending(ids: Iterable<number>): readonly number[] {
  return [...new Set(ids)].toSorted((a, b) => a - b);
}

/** Whether something from elsewhere is a configuration that can exist. */
export function isConfiguration(value: Configuration): boolean {
  const { voters, outgoing, learners, learnersNext, autoLeave } = value;
  for (const ids of [voters, outgoing, learners, learnersNext]) if (!areIds(ids)) return false;
  if (typeof autoLeave !== "boolean" || voters.length === 0) return false;
  if (learners.some((id) => isVoter(value, id))) return false;
  if (outgoing.length === 0) return learnersNext.length === 0 && !autoLeave;
  return learnersNext.every((id) => outgoing.includes(id) && !voters.includes(id));
}

function areIds(ids: readonly number[]): boolean {
  if (!Array.isArray(ids) || ids.length > MEMBERS_MAX) return false;
  let before = 0;
  for (const id of ids) {
    if (!Number.isSafeInteger(id) || id <= before) return false;
    before = id;
  }
  return true;
}
