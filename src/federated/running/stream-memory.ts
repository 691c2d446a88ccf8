import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { DataError } from "../data/data-error.ts";
import {
  decodeVersions,
  encodeVersions,
  noVersions,
  type VersionBook,
} from "../serving/version-book.ts";
import type { HistoryPlace } from "../streams/history-store.ts";
import { LabelBook } from "../streams/label-book.ts";
import {
  decodeNormalization,
  encodeNormalization,
  type Normalization,
} from "../streams/normalization.ts";

const PREFIX = "l/stream/";
const PREFIX_END = "l/stream0";
/** Entries that are removed at once. */
const BATCH = 256;

/** What a task's streams leave on disk: the history, versions of models, labels by hand, and what is normalised by. */
export class StreamMemory {
  readonly #store: KeyValueStore;
  readonly #logger: Logger;
  readonly #prefix: string;

  /** @param task 32 hexadecimal digits */
  constructor(parts: { readonly store: KeyValueStore; readonly logger: Logger }, task: string) {
    this.#store = parts.store;
    this.#logger = parts.logger;
    this.#prefix = prefixOf(task);
  }

  get history(): HistoryPlace {
    return { store: this.#store, prefix: `${this.#prefix}history/` };
  }

  /** @throws StoreError */
  async versions(): Promise<VersionBook> {
    return (await this.#read("versions", decodeVersions)) ?? noVersions;
  }

  /** @throws StoreError */
  keepVersions(book: VersionBook): Promise<void> {
    return this.#put("versions", encodeVersions(book));
  }

  /** @throws StoreError */
  async labels(): Promise<LabelBook> {
    return (await this.#read("labels", (bytes) => LabelBook.decode(bytes))) ?? new LabelBook();
  }

  /** @throws StoreError */
  keepLabels(book: LabelBook): Promise<void> {
    return this.#put("labels", book.encode());
  }

  /** @throws StoreError */
  scale(channels: number): Promise<Normalization | undefined> {
    return this.#read("scale", (bytes) => decodeNormalization(bytes, channels));
  }

  /** @throws StoreError */
  keepScale(scale: Normalization): Promise<void> {
    return this.#put("scale", encodeNormalization(scale));
  }

  /** When the alert began that was not over; undefined where there was none. @throws StoreError */
  async alert(): Promise<number | undefined> {
    const bytes = await this.#store.get(`${this.#prefix}alert`);
    const sinceMs = bytes === undefined ? Number.NaN : Number(Buffer.from(bytes).toString("utf8"));
    return sinceMs >= 0 && sinceMs < Number.POSITIVE_INFINITY ? sinceMs : undefined;
  }

  /** Whoever heard of an alert hears of its end, though the device starts anew between. @throws StoreError */
  keepAlert(sinceMs: number | undefined): Promise<void> {
    return this.#put("alert", Buffer.from(sinceMs === undefined ? "none" : String(sinceMs)));
  }

  /** Removes all of it. @throws StoreError */
  erase(): Promise<void> {
    return erase(this.#store, this.#prefix);
  }

  /** What is damaged is told and taken for nothing. */
  async #read<T>(name: string, decode: (bytes: Uint8Array) => T): Promise<T | undefined> {
    const bytes = await this.#store.get(this.#prefix + name);
    if (bytes === undefined) return undefined;
    try {
      return decode(bytes);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      this.#logger.warn("what a task on streams had kept can not be read, and is forgotten", {
        key: this.#prefix + name,
        reason: error.message,
      });
      return undefined;
    }
  }

  #put(name: string, value: Uint8Array): Promise<void> {
    return this.#store.write([{ type: "put", key: this.#prefix + name, value }], { durable: true });
  }
}

/** Removes what tasks that are known no more have left. @throws StoreError */
export async function sweepStreams(
  store: KeyValueStore,
  isKnown: (task: string) => boolean,
): Promise<void> {
  let gte = PREFIX;
  for (;;) {
    const [first] = await store.range({ gte, lt: PREFIX_END, limit: 1 });
    if (first === undefined) return;
    const [task = ""] = first[0].slice(PREFIX.length).split("/");
    if (!isKnown(task)) await erase(store, prefixOf(task));
    gte = endOf(prefixOf(task));
  }
}

async function erase(store: KeyValueStore, prefix: string): Promise<void> {
  for (;;) {
    const range = { gte: prefix, lt: endOf(prefix), limit: BATCH, bytesMax: 1024 * 1024 };
    const entries = await store.range(range);
    if (entries.length === 0) return;
    const removals = entries.map(([key]) => ({ type: "del", key }) as const);
    await store.write(removals, { durable: false });
  }
}

function prefixOf(task: string): string {
  return `${PREFIX}${task}/`;
}

/** Behind `/` comes `0`. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}
