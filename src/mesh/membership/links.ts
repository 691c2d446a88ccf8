import type { PeerId } from "../../platform/signer.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What a digest and a listing cost, where a Want costs one. */
export const DIGEST_UNITS = 8;
/** @see DIGEST_UNITS */
export const LISTING_UNITS = 4;
/** Verifications a neighbour may cause: more than a fleet of changes needs, and a few percent of one core. */
const RECORDS_PER_SECOND = 200;
/** … and more that this agent asked it for: a table and a sample at once, few afterwards, for it can list what does not exist. */
const ASKED_RECORDS_PER_SECOND = 20;
const ACCUSATIONS_PER_SECOND = 200;
/** In units of a Want; a newcomer asks for everything at once. */
const SYNC_UNITS_PER_SECOND = 40;
const SYNC_BURST = 256;
const MEMBERS_PER_SYNC_UNIT = 32;
/** Members that may give way to ones told by one neighbour, per second and at once. */
const EVICTIONS_PER_SECOND = 1;
const EVICTION_BURST = 16;

/** What is kept about one link: who opened it, what was heard on it, and how much its peer may still say. */
export interface LinkState {
  readonly peer: PeerId;
  readonly direction: "inbound" | "outbound";
  readonly openedAtMs: number;
  /** Last answer to a probe. */
  answeredAtMs: number;
  /** When it was last told this agent's record out of turn. */
  toldOwnAtMs: number;
  /** The peer says that it will close it on purpose. */
  parting: boolean;
  /** Answers that came by way of others since the last direct one. */
  indirectInARow: number;
  /** Records that this agent asked it for, and that have not come. */
  owedRecords: number;
  readonly records: TokenBucket;
  /** On top of `records`, for what it was asked for. */
  readonly askedRecords: TokenBucket;
  readonly accusations: TokenBucket;
  readonly syncs: TokenBucket;
  readonly evictions: TokenBucket;
}

/** @returns what is kept of a new link. @param membersMax everything may be told at once by one neighbour: a newcomer learns the fleet from it */
export function newLink(
  peer: PeerId,
  direction: LinkState["direction"],
  membersMax: number,
  nowMs: number,
): LinkState {
  const burst = Math.max(256, membersMax);
  return {
    peer,
    direction,
    openedAtMs: nowMs,
    answeredAtMs: Number.NEGATIVE_INFINITY,
    toldOwnAtMs: Number.NEGATIVE_INFINITY,
    parting: false,
    indirectInARow: 0,
    owedRecords: 0,
    records: new TokenBucket(RECORDS_PER_SECOND, burst, nowMs),
    askedRecords: new TokenBucket(ASKED_RECORDS_PER_SECOND, 2 * burst, nowMs),
    accusations: new TokenBucket(ACCUSATIONS_PER_SECOND, 4 * burst, nowMs),
    syncs: new TokenBucket(
      SYNC_UNITS_PER_SECOND,
      SYNC_BURST + membersMax / MEMBERS_PER_SYNC_UNIT,
      nowMs,
    ),
    evictions: new TokenBucket(EVICTIONS_PER_SECOND, EVICTION_BURST, nowMs),
  };
}
