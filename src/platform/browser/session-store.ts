import {
  type KeyValueStore,
  sizeOfOperations,
  StoreError,
  type StoreEntry,
  type StoreOperation,
  type StoreRange,
} from "../key-value-store.ts";

const PREFIX = "agent-mesh.store/";
/** Browsers give a site 5 MB; this leaves the rest to the page. */
const VALUE_BYTES_MAX = 65_536;
const ENTRIES_MAX = 256;

/** The part of the browser's `sessionStorage` that is used. */
export interface TextStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/**
 * The few entries that a node in a browser keeps until its tab is closed; they survive a reload. A batch is not atomic
 * should the browser end in its midst: whoever needs more than that runs an agent.
 */
export class SessionStore implements KeyValueStore {
  readonly generation = 0;
  readonly #storage: TextStorage;
  #written = 0;

  constructor(storage: TextStorage) {
    this.#storage = storage;
  }

  repairs(): readonly [] {
    return [];
  }

  get(key: string): Promise<Uint8Array | undefined> {
    const text = this.#storage.getItem(PREFIX + key);
    return Promise.resolve(text === null ? undefined : bytesOf(text));
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    const added = operations.filter(({ type, key }) => type === "put" && !this.#has(key)).length;
    const full =
      this.#keys().length + added > ENTRIES_MAX ||
      operations.some((one) => one.type === "put" && one.value.length > VALUE_BYTES_MAX);
    if (full)
      return Promise.reject(new StoreError("store.full", "the tab keeps no more than that"));
    try {
      for (const operation of operations)
        if (operation.type === "del") this.#storage.removeItem(PREFIX + operation.key);
        else this.#storage.setItem(PREFIX + operation.key, textOf(operation.value));
    } catch (cause) {
      const told = new StoreError("store.full", "the browser keeps no more", { cause });
      return Promise.reject(told);
    }
    this.#written += sizeOfOperations(operations);
    return Promise.resolve();
  }

  range({ gte, lt, limit, bytesMax, reverse }: StoreRange): Promise<StoreEntry[]> {
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
    return Promise.resolve(entries);
  }

  approximateSize(gte: string, lt: string): Promise<number> {
    const within = this.#keys().filter((key) => key >= gte && key < lt);
    const sizes = within.map((key) => this.#storage.getItem(PREFIX + key)?.length ?? 0);
    return Promise.resolve(sizes.reduce((sum, size) => sum + size, 0));
  }

  compact(): Promise<void> {
    return Promise.resolve();
  }

  written() {
    return { bytes: this.#written, syncs: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #has(key: string): boolean {
    return this.#storage.getItem(PREFIX + key) !== null;
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
