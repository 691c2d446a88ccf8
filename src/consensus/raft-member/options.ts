import { defaultRaftOptions, type RaftOptions } from "../raft/options.ts";

/** How a member of a group runs. */
export interface MemberOptions {
  readonly raft: Omit<RaftOptions, "id">;
  /** Length of a tick, in which election timeouts and heartbeats are counted. */
  readonly tickMs: number;
  /** A snapshot is made after entries of so many bytes. */
  readonly snapshotEveryBytes: number;
  /** Entries that stay when a snapshot was made, for members that lag a little. */
  readonly keptEntries: number;
  /** Largest value that is proposed. */
  readonly valueBytesMax: number;
  /** Callers that wait for decisions, and as many that wait to read. */
  readonly waitingMax: number;
  /** Of values that wait to be decided. */
  readonly waitingBytesMax: number;
  /** What is not decided after this time is proposed again: a leader may have taken it with it. */
  readonly retryAfterMs: number;
  /** Values that come in within this time go together. */
  readonly gatherMs: number;
  /** How long what is committed may wait to be told where no entries go out. */
  readonly commitDelayMs: number;
  /** A learner that has not caught up after so long is taken out again. */
  readonly learnerPatienceMs: number;
}

/**
 * Options that fit a committee of small devices in one network. A leader that dies is replaced within two seconds: others
 * campaign after 0.7 to 1.35 s without a heartbeat or an append in its place. Of these there are five a second, so that one
 * that a lossy link brings 400 ms late is no reason to.
 */
export const defaultMemberOptions: MemberOptions = {
  raft: {
    ...defaultRaftOptions,
    electionTicks: 14,
    heartbeatTicks: 4,
    asyncStorage: true,
    fewerMessages: true,
  },
  tickMs: 50,
  snapshotEveryBytes: 4 * 1_048_576,
  keptEntries: 1_024,
  valueBytesMax: 65_536,
  waitingMax: 4_096,
  waitingBytesMax: 16 * 1_048_576,
  retryAfterMs: 3_000,
  gatherMs: 1,
  commitDelayMs: 5,
  learnerPatienceMs: 30_000,
};
