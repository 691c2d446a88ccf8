import type { PeerId } from "../../platform/signer.ts";
import type { KnownRecord } from "../records/known-record.ts";
import { mix32 } from "./digest.ts";

/** Agents in the sample: the estimate's standard error is one in √254, 6.3 %. */
export const SAMPLE_MAX = 256;
/** Of whom nobody has heard for this long is not counted any more: several exchanges in every power mode. */
export const SAMPLE_KEPT_MS = 3_600_000;

const PLACES = 2 ** 32;
/** Keeps places independent of the buckets of the table, which come from the same hash. */
const PLACE_SALT = 0x51ed270b;

/** How many agents there are, as far as can be told. */
export interface FleetSize {
  readonly agents: number;
  /** Standard error over `agents`; 0 where they were counted. */
  readonly relativeError: number;
}

/** @returns the agent's place, 0 … 2³²−1: as good as random, and the same for everybody */
export function placeOf({ hash }: Pick<KnownRecord, "hash">): number {
  return mix32(hash ^ PLACE_SALT);
}

/**
 * A uniform sample of a fleet that is larger than the table: the agents whose places are the smallest (k minimum values;
 * Bar-Yossef et al. 2002, "Counting Distinct Elements in a Data Stream"). The k-th smallest of n random places lies near
 * k/n of their range, and (k − 1) over it is an unbiased estimate of n (Beyer et al. 2007, "On Synopses for
 * Distinct-Value Estimation Under Multiset Operations"). Whoever is told of the same agents holds the same sample, in
 * whatever order and however often; and every agent in it has shown a signed record.
 */
export class FleetSample {
  readonly #sizeMax: number;
  /** Smallest first; the same number of entries in all three. */
  readonly #places: number[] = [];
  readonly #heardOfAtMs: number[] = [];
  readonly #records: KnownRecord[] = [];

  constructor(sizeMax = SAMPLE_MAX) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#records.length;
  }

  /**
   * The agent at that place gave a sign of life at that time, as far as was told.
   * @returns whether it would be new to the sample, and belongs in it
   */
  heardOf(place: number, atMs: number): boolean {
    const at = this.#find(place);
    if (at >= this.size || this.#places[at] !== place) return at < this.#sizeMax;
    this.#heard(at, atMs);
    return false;
  }

  /** Takes an agent that showed a record, or a newer sign of life of it. @returns whether it is new to the sample */
  offer(record: KnownRecord, heardOfAtMs: number): boolean {
    const place = placeOf(record);
    const at = this.#find(place);
    if (at < this.size && this.#places[at] === place) {
      this.#records[at] = record;
      this.#heard(at, heardOfAtMs);
      return false;
    }
    if (at >= this.#sizeMax) return false;
    if (this.size === this.#sizeMax) this.#take(this.#sizeMax - 1);
    this.#places.splice(at, 0, place);
    this.#heardOfAtMs.splice(at, 0, heardOfAtMs);
    this.#records.splice(at, 0, record);
    return true;
  }

  /** It is gone. */
  remove(record: Pick<KnownRecord, "hash">): void {
    const place = placeOf(record);
    const at = this.#find(place);
    if (at < this.size && this.#places[at] === place) this.#take(at);
  }

  /** Drops those of whom nobody has heard since that time. */
  expire(beforeMs: number): void {
    for (let at = this.size - 1; at >= 0; at--)
      if ((this.#heardOfAtMs[at] ?? 0) < beforeMs) this.#take(at);
  }

  /** Smallest first. A live view. */
  places(): readonly number[] {
    return this.#places;
  }

  /** When each was last heard of, in the order of the places. A live view. */
  heardOfTimesMs(): readonly number[] {
    return this.#heardOfAtMs;
  }

  /**
   * @param places of another sample, smallest first
   * @returns whether somebody here belongs there and is missing
   */
  hasMoreThan(places: readonly number[]): boolean {
    const hasRoom = places.length < this.size;
    const last = places.at(-1) ?? 0;
    let at = 0;
    for (const place of this.#places) {
      if (!hasRoom && place >= last) return false;
      while (at < places.length && (places[at] ?? 0) < place) at++;
      if (places[at] !== place) return true;
    }
    return false;
  }

  /** Takes over newer signs of life. @param heardOfAtMs when one was last heard of; undefined when that is not known */
  refresh(heardOfAtMs: (peer: PeerId) => number | undefined): void {
    this.#records.forEach(({ peerId }, at) => {
      const atMs = heardOfAtMs(peerId);
      if (atMs !== undefined) this.#heard(at, atMs);
    });
  }

  peers(): PeerId[] {
    return this.#records.map(({ peerId }) => peerId);
  }

  get(place: number): { record: KnownRecord; heardOfAtMs: number } | undefined {
    const at = this.#find(place);
    const record = this.#records[at];
    if (record === undefined || this.#places[at] !== place) return undefined;
    return { record, heardOfAtMs: this.#heardOfAtMs[at] ?? 0 };
  }

  /** @returns how large the fleet is of which this is the sample */
  estimate(): FleetSize {
    const { size } = this;
    // A sample with room to spare holds everybody there is.
    if (size < this.#sizeMax) return { agents: size, relativeError: 0 };
    const largest = (this.#places[size - 1] ?? 0) + 1;
    return {
      agents: Math.round(((size - 1) * PLACES) / largest),
      relativeError: 1 / Math.sqrt(size - 2),
    };
  }

  #heard(at: number, atMs: number): void {
    if ((this.#heardOfAtMs[at] ?? 0) < atMs) this.#heardOfAtMs[at] = atMs;
  }

  #take(at: number): void {
    this.#records.splice(at, 1);
    this.#places.splice(at, 1);
    this.#heardOfAtMs.splice(at, 1);
  }

  /** @returns where the place is, or would have to be */
  #find(place: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#places[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
