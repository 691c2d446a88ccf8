import { defaultTendermintOptions, type TendermintOptions } from "../tendermint/options.ts";

/**
 * How a member of a Tendermint group runs. What is marked with * is the same at all members of a group: blocks and state
 * digests follow from it.
 */
export interface TendermintMemberOptions {
  /** `partBytes` and `valueBytesMax`*. */
  readonly tendermint: TendermintOptions;
  /** Of one block*. */
  readonly blockBytesMax: number;
  readonly blockOperationsMax: number;
  /** Largest value that is put in*. */
  readonly valueBytesMax: number;
  /** The state is digested after so many heights*, or after blocks of so many bytes*. */
  readonly snapshotEveryHeights: number;
  readonly snapshotEveryBytes: number;
  /** Callers that wait for decisions, and as many that wait to read. */
  readonly waitingMax: number;
  /** Of values that wait to be decided, put in here. */
  readonly waitingBytesMax: number;
  /** Of operations that wait, from whomever; each member has the same share. */
  readonly poolBytesMax: number;
  /** And so many of each member. */
  readonly poolOperationsOfMemberMax: number;
  /** Operations of others are dropped when they were not said again for so long. */
  readonly poolKeptMs: number;
  /** What is not decided after this time is told to the others again. */
  readonly retryAfterMs: number;
  /** A height that has begun ends with an empty block when its proposer has heard of nothing for so long. */
  readonly emptyBlockAfterMs: number;
  /** While nothing goes on, a member asks another for the next decision this often. */
  readonly idleAskMs: number;
  /** How often waits are looked at. */
  readonly tickMs: number;
  /** Records of one height, after which its log is compacted. */
  readonly logEntriesMax: number;
  /** A member is added once it is no more heights behind than that. */
  readonly joinLagMax: number;
  /** Proofs of equivocation that are kept, the latest. */
  readonly evidenceKeptMax: number;
}

const BLOCK_BYTES = 262_144;
const SNAPSHOT_EVERY_HEIGHTS = 1_024;
const SNAPSHOT_EVERY_BYTES = 4 * 1_048_576;

/** Options that fit a committee of small devices in one network, and bear 200 ms of delay. */
export const defaultTendermintMemberOptions: TendermintMemberOptions = {
  tendermint: {
    ...defaultTendermintOptions,
    timeouts: {
      propose: { firstMs: 1_500, growthMs: 500 },
      prevote: { firstMs: 500, growthMs: 250 },
      precommit: { firstMs: 500, growthMs: 250 },
    },
    timeoutMaxMs: 10_000,
    rebroadcastMs: 500,
    valueBytesMax: BLOCK_BYTES,
    // All since the last snapshot but one, so that who has that one can follow.
    decisionsKeptMax: 2 * SNAPSHOT_EVERY_HEIGHTS,
    decisionsKeptBytesMax: 2 * SNAPSHOT_EVERY_BYTES,
    answersToPeerMax: 256,
  },
  blockBytesMax: BLOCK_BYTES,
  blockOperationsMax: 1_024,
  valueBytesMax: 65_536,
  snapshotEveryHeights: SNAPSHOT_EVERY_HEIGHTS,
  snapshotEveryBytes: SNAPSHOT_EVERY_BYTES,
  waitingMax: 4_096,
  waitingBytesMax: 4 * 1_048_576,
  poolBytesMax: 16 * 1_048_576,
  poolOperationsOfMemberMax: 4_096,
  poolKeptMs: 60_000,
  retryAfterMs: 500,
  emptyBlockAfterMs: 500,
  idleAskMs: 3_000,
  tickMs: 100,
  logEntriesMax: 256,
  joinLagMax: 2,
  evidenceKeptMax: 64,
};
