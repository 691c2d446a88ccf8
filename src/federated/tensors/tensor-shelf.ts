import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { checkHash, checkSettings, checkSize } from "./bounds.ts";
import type { TensorShelfOptions } from "./options.ts";
import { TensorError } from "./tensor-error.ts";
import { TensorMemory } from "./tensor-memory.ts";
import { TensorStore } from "./tensor-store.ts";

/** What a shelf works with. */
export interface TensorShelfParts {
  readonly store: KeyValueStore;
  readonly hasher: Hasher;
  readonly logger: Logger;
}

/** What lies on a shelf now, and totals that only grow; for metrics. */
export interface TensorShelfCounters {
  readonly memoryBytes: number;
  readonly pinnedBytes: number;
  readonly memoryTensors: number;
  readonly storeBytes: number;
  readonly storeTensors: number;
  /** Handed to the store since the start; flash wears by it. */
  readonly storeWrittenBytes: number;
  /** Gone from memory for others. */
  readonly evicted: number;
  /** Found damaged in the store, and dropped. */
  readonly damaged: number;
}

/**
 * Tensors by the SHA-256 of their bytes: models, updates, sheets. They lie in memory, and what nobody pinned may go at any
 * time; those that an owner keeps lie in the store too. Nothing is written unless an owner says so.
 *
 * Whatever is put here or comes from here belongs to everybody: nobody changes the bytes any more.
 */
export class TensorShelf {
  readonly #options: TensorShelfOptions;
  readonly #hasher: Hasher;
  readonly #memory: TensorMemory;
  readonly #store: TensorStore;
  readonly #loads = new Map<string, Promise<Uint8Array | undefined>>();
  /** One is read back at a time, which bounds what is not counted yet. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: TensorShelfOptions, hasher: Hasher, store: TensorStore) {
    this.#options = options;
    this.#hasher = hasher;
    this.#memory = new TensorMemory(options.memoryBytesMax, options.looseTensorsMax);
    this.#store = store;
  }

  /** @throws TensorError `tensor.invalid` naming a setting that can not be; StoreError */
  static async open(parts: TensorShelfParts, options: TensorShelfOptions): Promise<TensorShelf> {
    checkSettings({ ...options });
    const store = await TensorStore.open(parts, options.storeBytesMax);
    return new TensorShelf(options, parts.hasher, store);
  }

  /**
   * Puts bytes into memory.
   * @returns their hash @throws TensorError `tensor.invalid`, `tensor.memory-full` where what is pinned leaves no room
   */
  put(bytes: Uint8Array): string {
    const hash = this.#hasher.sha256Hex(bytes);
    this.hold(hash, bytes);
    return hash;
  }

  /** As {@link put}, for who has checked the hash already. */
  hold(hash: string, bytes: Uint8Array): void {
    checkHash(hash);
    checkSize(bytes.length);
    // A view of a larger buffer would hold all of that and count for less.
    const own = bytes.length === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
    if (this.#memory.put(hash, own)) return;
    const { memoryBytesMax } = this.#options;
    const { pinnedBytes } = this.#memory.counts;
    throw new TensorError(
      "tensor.memory-full",
      `${bytes.length} bytes do not fit beside ${pinnedBytes} that are pinned: raise memoryBytesMax (${memoryBytesMax})`,
    );
  }

  /** @returns how long it is, where it is here */
  sizeOf(hash: string): number | undefined {
    return this.#memory.sizeOf(hash) ?? this.#store.kept.get(hash);
  }

  /**
   * @returns the bytes, from memory or read back and checked; undefined where they are not here, or not whole any more
   * @throws StoreError
   */
  get(hash: string): Promise<Uint8Array | undefined> {
    const bytes = this.#memory.get(hash);
    if (bytes !== undefined) return Promise.resolve(bytes);
    if (!this.#store.kept.has(hash)) return Promise.resolve(undefined);
    const known = this.#loads.get(hash);
    if (known !== undefined) return known;
    const load = this.#turn.then(() => this.#load(hash));
    this.#turn = load.catch(() => undefined);
    this.#loads.set(hash, load);
    return load;
  }

  /**
   * Says what an owner can not do without, in place of what it said before: it stays in memory, or does as soon as it comes.
   * @throws TensorError `tensor.invalid` for more than can be
   */
  pin(owner: string, hashes: Iterable<string>): void {
    this.#memory.pin(owner, hashes);
  }

  /**
   * Counts something else that an owner holds in memory, such as a history, in place of what it held before.
   * @returns false where there is no room for it beside what is pinned; nothing is changed then
   */
  reserve(owner: string, bytes: number): boolean {
    return this.#memory.reserve(owner, bytes);
  }

  /**
   * Makes a tensor that is in memory survive a restart. Resolves when it does.
   * @throws TensorError `tensor.missing`, `tensor.store-full`; StoreError
   */
  async keep(hash: string): Promise<void> {
    const bytes = this.#memory.get(hash);
    // The store knows best: it may be about to be released.
    if (bytes !== undefined) return this.#store.keep(hash, bytes);
    if (this.#store.kept.has(hash)) return;
    throw new TensorError("tensor.missing", `${hash} is not in memory: put it, then keep it`);
  }

  /** Undoes {@link keep}; in memory it stays as long as others do. @throws StoreError */
  release(hash: string): Promise<void> {
    return this.#store.release(hash);
  }

  /** @returns hashes of all that survives a restart, for owners to release what they do not know any more */
  kept(): readonly string[] {
    return [...this.#store.kept.keys()];
  }

  counters(): TensorShelfCounters {
    const memory = this.#memory.counts;
    const store = this.#store.counts;
    return {
      memoryBytes: memory.bytes,
      pinnedBytes: memory.pinnedBytes,
      memoryTensors: memory.tensors,
      storeBytes: store.bytes,
      storeTensors: store.tensors,
      storeWrittenBytes: store.writtenBytes,
      evicted: memory.evicted,
      damaged: store.damaged,
    };
  }

  async #load(hash: string): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#store.load(hash);
      if (bytes !== undefined) this.#memory.put(hash, bytes);
      return bytes;
    } finally {
      this.#loads.delete(hash);
    }
  }
}
