import type { Hasher } from "../../platform/hasher.ts";
import { fromHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Fewer can not bear even one liar. */
export const MEMBERS_MIN = 4;
/** A vote goes to everybody from everybody: beyond this, messages are mostly votes. */
export const MEMBERS_MAX = 64;
/** Stands for the digest of a beginning in which the application knows nothing. */
export const NO_STATE = "0".repeat(64);

/**
 * The replicas, numbered by their place in the sorted list, and how many of them are enough. With n replicas up to
 * f = floor((n - 1) / 3) may lie. Any two quorums share an honest replica, also where n is not 3f + 1 (Castro, "Practical
 * Byzantine Fault Tolerance", thesis 2001, section 2.3.1).
 */
export class Group {
  readonly members: readonly PeerId[];
  readonly faultyMax: number;
  /** Enough to decide: 2f + 1 of 3f + 1. */
  readonly quorum: number;
  /** Enough that one of them is honest: f + 1. */
  readonly weakQuorum: number;
  /** 32 bytes that are signed with everything, so that no word of one group counts in another. */
  readonly id: Uint8Array;
  /** Digest of the state before the first request: see `genesisSnapshot`. */
  readonly genesis: string;
  readonly #indexes: ReadonlyMap<PeerId, number>;

  /**
   * @param name keeps apart groups that have the same members
   * @param genesis what the group begins with; with nothing by default
   * @throws RangeError when there are too few members or too many, or one of them twice
   */
  constructor(name: string, members: readonly PeerId[], hasher: Hasher, genesis = NO_STATE) {
    const count = members.length;
    if (count < MEMBERS_MIN || count > MEMBERS_MAX)
      throw new RangeError(`a group has ${MEMBERS_MIN} to ${MEMBERS_MAX} members, not ${count}`);
    this.members = [...members].sort();
    this.#indexes = new Map(this.members.map((peer, index) => [peer, index]));
    if (this.#indexes.size !== count) throw new RangeError("a member is in the list twice");
    this.faultyMax = faultyOf(count);
    this.quorum = Math.ceil((count + this.faultyMax + 1) / 2);
    this.weakQuorum = this.faultyMax + 1;
    this.id = fromHex(hasher.sha256Hex(JSON.stringify([name, ...this.members, genesis])));
    this.genesis = genesis;
  }

  get size(): number {
    return this.members.length;
  }

  /** @returns the place of a member, undefined for anybody else */
  indexOf(peer: PeerId): number | undefined {
    return this.#indexes.get(peer);
  }

  /** Who proposes in a view. */
  primaryOf(view: number): number {
    return view % this.members.length;
  }
}

/** @returns how many of so many members may lie */
export function faultyOf(count: number): number {
  return Math.floor((count - 1) / 3);
}
