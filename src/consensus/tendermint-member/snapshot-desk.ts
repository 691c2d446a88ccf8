import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Decision } from "../tendermint/effects.ts";
import { PARTS_MAX, type Part, type SplitValue, split } from "../tendermint/parts.ts";
import type { SplitState } from "./group-state.ts";
import type { Offer } from "./offer.ts";
import type { ProvenState } from "./record-codec.ts";
import { statePartBytes } from "./state-codec.ts";

/** One peer is offered the state, and given as many parts as there can be twice, this often at most. */
const SERVED_EVERY_MS = 1_000;
const PARTS_SERVED_MAX = 2 * PARTS_MAX;
const PEERS_MAX = 256;

interface Served {
  readonly sinceMs: number;
  parts: number;
  isOffered: boolean;
}

/** The last state that is proven, for those who are too far behind to be told every decision. */
export class SnapshotDesk {
  readonly #hasher: Hasher;
  /** It waits for the block that names its digest. */
  #made: SplitState | undefined;
  #proven: { readonly offer: Offer; readonly split: SplitValue } | undefined;
  readonly #served = new Map<PeerId, Served>();

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  /** The height of the proven state, and its digest. */
  get proven(): { readonly height: number; readonly digest: string } | undefined {
    const proven = this.#proven;
    return proven && { height: proven.offer.height, digest: proven.split.valueId };
  }

  /** The state after a height. */
  made(state: SplitState): void {
    this.#made = state;
  }

  /** @returns the state that the decision proves */
  decided({ height, value, certificate }: Decision): ProvenState | undefined {
    const made = this.#made;
    if (made?.height !== height - 1) return undefined;
    this.#made = undefined;
    const offer = { height: made.height, manifest: made.manifest, block: value, certificate };
    this.#proven = { offer, split: made };
    return { offer, state: made.state };
  }

  /** Takes a state that was proven elsewhere, or before a restart. */
  restore({ offer, state }: ProvenState): void {
    this.#made = undefined;
    this.#proven = { offer, split: split(state, statePartBytes(state.length), this.#hasher) };
  }

  /** @returns undefined where there is none, or the peer was told just now */
  offerTo(peer: PeerId, nowMs: number): Offer | undefined {
    const served = this.#servedTo(peer, nowMs);
    if (this.#proven === undefined || served === undefined || served.isOffered) return undefined;
    served.isOffered = true;
    return this.#proven.offer;
  }

  /** @returns parts that the peer asks for; none of another state, and none for who asks too much */
  parts(peer: PeerId, digest: string, indexes: readonly number[], nowMs: number): Part[] {
    const served = this.#servedTo(peer, nowMs);
    const proven = this.#proven;
    if (served === undefined || proven?.split.valueId !== digest) return [];
    const wanted = indexes.slice(0, Math.max(0, PARTS_SERVED_MAX - served.parts));
    const found = wanted.flatMap((index) => proven.split.parts[index] ?? []);
    served.parts += found.length;
    return found;
  }

  #servedTo(peer: PeerId, nowMs: number): Served | undefined {
    const known = this.#served.get(peer);
    if (known !== undefined && nowMs - known.sinceMs < SERVED_EVERY_MS) return known;
    this.#served.delete(peer);
    for (const [other, { sinceMs }] of this.#served)
      if (nowMs - sinceMs >= SERVED_EVERY_MS) this.#served.delete(other);
    if (this.#served.size >= PEERS_MAX) return undefined;
    const served = { sinceMs: nowMs, parts: 0, isOffered: false };
    this.#served.set(peer, served);
    return served;
  }
}
