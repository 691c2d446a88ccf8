import {
  type KeyValueStore,
  type StoreEntry,
  StoreError,
  type StoreOperation,
  type StoreRange,
  sizeOfOperations,
  type WriteOptions,
} from "../key-value-store.ts";

const PREFIX = "agent-mesh.store/";
const ENTRIES_MAX = 4_096;

/** The part of the browser's `sessionStorage` that is used. */
type TextStorage = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

/**
 * The few entries that a node in a browser keeps until its tab is closed; they survive a reload. The browser's own limit
 * on all of them is about 5 MB. A batch is whole for everybody who reads it, though not should the browser end amid it.
 */
export class SessionStore implements KeyValueStore {
  readonly generation = 0;
  readonly #storage: TextStorage;
  #bytes = 0;
  #syncs = 0;
  #closed = false;

  constructor(storage: TextStorage) {
    this.#storage = storage;
  }

  repairs(): readonly [] {
    return [];
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#mustBeOpen();
    const text = this.#storage.getItem(PREFIX + key);
    return text === null ? undefined : bytesOf(text);
  }

  async write(operations: readonly StoreOperation[], { durable }: WriteOptions): Promise<void> {
    this.#mustBeOpen();
    const before = new Map<string, string | null>();
    for (const { key } of operations) before.set(key, this.#storage.getItem(PREFIX + key));
    try {
      for (const operation of operations)
        this.#put(operation.key, operation.type === "del" ? null : textOf(operation.value));
      if (this.#keys().length > ENTRIES_MAX) throw new RangeError(`past ${ENTRIES_MAX} entries`);
    } catch (cause) {
      // First what gives room back.
      for (const [key, text] of before) if (text === null) this.#put(key, null);
      for (const [key, text] of before) if (text !== null) this.#put(key, text);
      throw new StoreError("store.full", "the browser keeps no more", { cause });
    }
    this.#bytes += sizeOfOperations(operations);
    if (durable) this.#syncs++;
  }

  async range({ gte, lt, limit, bytesMax, reverse }: StoreRange): Promise<StoreEntry[]> {
    this.#mustBeOpen();
    const keys = this.#keys().filter((key) => key >= gte && key < lt);
    if (reverse === true) keys.reverse();
    const entries: StoreEntry[] = [];
    let bytes = 0;
    for (const key of keys.slice(0, limit)) {
      const value = bytesOf(this.#storage.getItem(PREFIX + key) ?? "");
      entries.push([key, value]);
      bytes += value.length;
      if (bytesMax !== undefined && bytes > bytesMax) break;
    }
    return entries;
  }

  async approximateSize(gte: string, lt: string): Promise<number> {
    const within = this.#keys().filter((key) => key >= gte && key < lt);
    const sizes = within.map((key) => this.#storage.getItem(PREFIX + key)?.length ?? 0);
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async compact(): Promise<void> {
    // The browser gives the space of deleted entries back at once.
  }

  written() {
    return { bytes: this.#bytes, syncs: this.#syncs };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #put(key: string, text: string | null): void {
    if (text === null) this.#storage.removeItem(PREFIX + key);
    else this.#storage.setItem(PREFIX + key, text);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreError("store.closed", "the store is closed");
  }

  #keys(): string[] {
    const keys: string[] = [];
    for (let at = 0; at < this.#storage.length; at++) {
      const key = this.#storage.key(at);
      if (key?.startsWith(PREFIX) === true) keys.push(key.slice(PREFIX.length));
    }
    return keys.sort();
  }
}

/** One character for each byte: a store of texts keeps those as they are. */
function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
