import { PARTS_MAX } from "./parts.ts";
import type { TimeoutKind } from "./round-machine.ts";

/** How long a step waits: longer in each round, so that it is long enough some time. Milliseconds. */
export interface TimeoutLength {
  readonly firstMs: number;
  readonly growthMs: number;
}

/** Waits and bounds of the protocol. All validators of an instance have the same `partBytes` and `valueBytesMax`. */
export interface TendermintOptions {
  readonly timeouts: Readonly<Record<TimeoutKind, TimeoutLength>>;
  /** No wait is longer. */
  readonly timeoutMaxMs: number;
  /** Between two times at which a node says again what others may have missed. */
  readonly rebroadcastMs: number;
  /** Of one validator: later rounds in which its votes are kept, its latest ones. */
  readonly roundsAheadMax: number;
  /** Proposals for rounds further ahead are not kept: who proposes there has to be worked out. */
  readonly proposalRoundsAheadMax: number;
  /** Earlier rounds of which messages are kept. */
  readonly roundsBehindMax: number;
  /** Messages of later heights are kept so far ahead. */
  readonly heightsAheadMax: number;
  /** And so many of each peer. */
  readonly futureMessagesOfPeerMax: number;
  /** A value that is larger travels in parts of this size. */
  readonly partBytes: number;
  readonly valueBytesMax: number;
  /** Of one height, values that are kept or put together at the same time. */
  readonly valuesMax: number;
  /** The latest decisions, with their values, for those who come late. */
  readonly decisionsKeptMax: number;
  /** And values of so many bytes. */
  readonly decisionsKeptBytesMax: number;
  /** Answers to one peer between two rebroadcasts. */
  readonly answersToPeerMax: number;
  /** Offences that are remembered, so that each is told once. */
  readonly offencesMax: number;
}

const PART_BYTES = 65_536;

/** For a committee on a local network. */
export const defaultTendermintOptions: TendermintOptions = {
  timeouts: {
    propose: { firstMs: 3_000, growthMs: 500 },
    prevote: { firstMs: 1_000, growthMs: 500 },
    precommit: { firstMs: 1_000, growthMs: 500 },
  },
  timeoutMaxMs: 60_000,
  rebroadcastMs: 2_000,
  roundsAheadMax: 8,
  proposalRoundsAheadMax: 16,
  roundsBehindMax: 16,
  heightsAheadMax: 2,
  futureMessagesOfPeerMax: 32,
  partBytes: PART_BYTES,
  valueBytesMax: PART_BYTES * PARTS_MAX,
  valuesMax: 8,
  decisionsKeptMax: 16,
  decisionsKeptBytesMax: 16 * PART_BYTES * PARTS_MAX,
  answersToPeerMax: 8,
  offencesMax: 1_024,
};

/** @returns how long a step waits in that round, in milliseconds */
export function timeoutMs(options: TendermintOptions, kind: TimeoutKind, round: number): number {
  const { firstMs, growthMs } = options.timeouts[kind];
  return Math.min(options.timeoutMaxMs, firstMs + growthMs * round);
}
