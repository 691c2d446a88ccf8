import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { compareBytes } from "../records/known-record.ts";

const EPOCH_KEY = "m/epoch";
const RECORDS = { gte: "m/r/", lt: "m/r0" } as const;
/** Enough to find back into any fleet. */
const RECORDS_MAX = 128;

/**
 * What of the fleet outlives the process: how often the agent has started, and the records of agents that were
 * linked, with the addresses to dial them at.
 */
export class FleetMemory {
  readonly #store: KeyValueStore;
  /** As they lie on disk. */
  readonly #kept = new Map<PeerId, Uint8Array>();

  constructor(store: KeyValueStore) {
    this.#store = store;
  }

  /** Counts a start. @returns the epoch of this one, durable @throws StoreError */
  async nextEpoch(): Promise<number> {
    const bytes = await this.#store.get(EPOCH_KEY);
    const last = bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes));
    // Should the entry be unreadable, the mesh itself tells of a higher epoch and the agent goes above it.
    const epoch = (Number.isSafeInteger(last) && last > 0 ? last : 0) + 1;
    await this.keepEpoch(epoch);
    return epoch;
  }

  /** @throws StoreError */
  async keepEpoch(epoch: number): Promise<void> {
    const value = new TextEncoder().encode(String(epoch));
    await this.#store.write([{ type: "put", key: EPOCH_KEY, value }], { durable: true });
  }

  /** @returns encoded signed records, in no order @throws StoreError */
  async records(): Promise<readonly Uint8Array[]> {
    const entries = await this.#store.range({ ...RECORDS, limit: RECORDS_MAX });
    for (const [key, value] of entries) this.#kept.set(key.slice(RECORDS.gte.length), value);
    return entries.map(([, value]) => value);
  }

  /**
   * Makes what lies on disk the same as these, most useful first. Not durable: after a power cut the records before
   * these serve as well.
   * @throws StoreError
   */
  async keep(records: ReadonlyMap<PeerId, Uint8Array>): Promise<void> {
    const wanted = new Map([...records].slice(0, RECORDS_MAX));
    const operations: StoreOperation[] = [];
    for (const peer of this.#kept.keys())
      if (!wanted.has(peer)) operations.push({ type: "del", key: RECORDS.gte + peer });
    for (const [peer, value] of wanted)
      if (!same(this.#kept.get(peer), value))
        operations.push({ type: "put", key: RECORDS.gte + peer, value });
    if (operations.length === 0) return;
    await this.#store.write(operations, { durable: false });
    this.#kept.clear();
    for (const [peer, value] of wanted) this.#kept.set(peer, value);
  }
}

function same(left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left !== undefined && compareBytes(left, right) === 0;
}
