import type {
  KeyValueStore,
  StoreEntry,
  StoreOperation,
  StoreRange,
  StoreRepair,
  StoreWritten,
  WriteOptions,
} from "../platform/key-value-store.ts";
import { StoreError, sizeOfOperations } from "../platform/key-value-store.ts";
import { SharedContents } from "./shared-contents.ts";

/**
 * The virtual disk: an ordered map whose unsynced writes are lost when the machine crashes, and which can
 * be made to run full. Contents outlive {@link close}, as files do.
 */
export class MemoryKeyValueStore implements KeyValueStore {
  readonly #disk: VirtualDisk;
  readonly generation: number = 0;
  #closed = false;
  #bytes = 0;
  #syncs = 0;

  constructor(disk: VirtualDisk = new VirtualDisk()) {
    this.#disk = disk;
  }

  /** The disk behind this handle, for another handle after a restart. */
  get disk(): VirtualDisk {
    return this.#disk;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#with(() => this.#disk.get(key));
  }

  write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void> {
    return this.#with(() => {
      this.#bytes += sizeOfOperations(operations);
      if (options.durable) this.#syncs++;
      this.#disk.apply(operations, options.durable);
    });
  }

  range(range: StoreRange): Promise<StoreEntry[]> {
    return this.#with(() => this.#disk.range(range));
  }

  approximateSize(gte: string, lt: string): Promise<number> {
    return this.#with(() => this.#disk.sizeOf(gte, lt));
  }

  compact(): Promise<void> {
    return this.#with(() => undefined);
  }

  repairs(): readonly StoreRepair[] {
    return [];
  }

  written(): StoreWritten {
    return { bytes: this.#bytes, syncs: this.#syncs };
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #with<T>(work: () => T): Promise<T> {
    try {
      if (this.#closed) throw new StoreError("store.closed", "the store is closed");
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** What a crash leaves behind: everything up to the last durable write, and maybe some of what followed. */
export class VirtualDisk {
  #keys: string[] = [];
  #values = new Map<string, Uint8Array>();
  #unsynced: { key: string; before: Uint8Array | undefined }[] = [];
  #bytes = 0;
  /** Writes that would take the disk past this many bytes fail with `store.full`. */
  bytesMax = Number.POSITIVE_INFINITY;
  readonly #contents: SharedContents;

  /** @param contents what it shares with other disks */
  constructor(contents = new SharedContents()) {
    this.#contents = contents;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  /** @returns bytes of keys and values from `gte` to below `lt` */
  sizeOf(gte: string, lt: string): number {
    let bytes = 0;
    const to = this.#position(lt);
    for (let at = this.#position(gte); at < to; at++) {
      const key = this.#keys[at] ?? "";
      bytes += key.length + (this.#values.get(key)?.length ?? 0);
    }
    return bytes;
  }

  apply(operations: readonly StoreOperation[], durable: boolean): void {
    let growth = 0;
    for (const operation of operations)
      if (operation.type === "put") growth += operation.key.length + operation.value.length;
    if (this.#bytes + growth > this.bytesMax)
      throw new StoreError("store.full", "writing the store: no space left on device");
    for (const operation of operations) {
      const key = this.#contents.key(operation.key);
      this.#unsynced.push({ key, before: this.#values.get(key) });
      // A disk keeps what was written, whatever the writer does to its buffer afterwards.
      const value = operation.type === "put" ? this.#contents.of(operation.value) : undefined;
      this.#set(key, value);
    }
    // A durable write syncs the log, and with it everything that was written before.
    if (durable) this.#unsynced = [];
  }

  range(range: StoreRange): StoreEntry[] {
    const from = this.#position(range.gte);
    const to = this.#position(range.lt);
    const entries: StoreEntry[] = [];
    let bytes = 0;
    for (let step = 0; step < to - from && entries.length < range.limit; step++) {
      const key = this.#keys[range.reverse === true ? to - 1 - step : from + step] ?? "";
      const value = this.#values.get(key) ?? new Uint8Array();
      entries.push([key, value]);
      bytes += value.length;
      if (range.bytesMax !== undefined && bytes > range.bytesMax) break;
    }
    return entries;
  }

  /** Power loss: what was not synced is undone. */
  crash(): void {
    for (const { key, before } of this.#unsynced.reverse()) this.#set(key, before);
    this.#unsynced = [];
  }

  /**
   * Part of what was stored can not be read any more: a run of neighbouring keys, as of a damaged table.
   * @param at 0 to 1: where it begins @param share of all keys
   * @returns how many are gone
   */
  damage(at: number, share: number): number {
    this.crash();
    const from = Math.floor(at * this.#keys.length);
    const gone = this.#keys.slice(from, from + Math.ceil(share * this.#keys.length));
    for (const key of gone) this.#set(key, undefined);
    return gone.length;
  }

  #set(key: string, value: Uint8Array | undefined): void {
    const old = this.#values.get(key);
    if (old !== undefined) this.#bytes -= key.length + old.length;
    if (value === undefined) {
      if (old === undefined) return;
      this.#values.delete(key);
      this.#keys.splice(this.#position(key), 1);
      return;
    }
    this.#bytes += key.length + value.length;
    this.#values.set(key, value);
    if (old === undefined) this.#keys.splice(this.#position(key), 0, key);
  }

  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
