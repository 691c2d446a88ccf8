import type { BatchOperation } from "classic-level";
import type {
  KeyValueStore,
  StoreEntry,
  StoreOperation,
  StoreRange,
  StoreRepair,
  StoreWritten,
  WriteOptions,
} from "../key-value-store.ts";
import { StoreError } from "../key-value-store.ts";
import type { Logger } from "../logger.ts";
import { openValue, sealValue } from "./checked-value.ts";
import { type Database, openDatabase } from "./database.ts";
import { type DamagedEntry, Mender } from "./mender.ts";
import { ReserveFile } from "./reserve-file.ts";
import { asStoreError } from "./store-error.ts";
import { WriteCounter } from "./write-counter.ts";

/** How a {@link LevelStore} is opened. */
export interface LevelStoreOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** LevelDB keeps this much in memory before it writes a table, twice over at worst. */
  readonly writeBufferBytes?: number;
  readonly cacheBytes?: number;
  /** Kept free beside the store, since replaying the log of a full disk needs room. 0: none. */
  readonly reserveBytes?: number;
  /** Hears of every repair, also of one while the store is being opened. */
  readonly onRepaired?: (repair: StoreRepair) => void;
}

/** Entries in one call to the addon, which keeps room for as many with every iterator. */
const READ_MAX = 128;
/** What an iterator may keep until it is collected. */
const KEPT_BYTES_MAX = 2_048;
/** Once as it is, once more after the handle was replaced, and once after a repair. */
const READ_ATTEMPTS = 3;
const PROVEN_AFTER_MS = 30_000;

/**
 * {@link KeyValueStore} on LevelDB.
 *
 * After a failed write (a full disk, an fsync error) a LevelDB handle may go on acknowledging writes that
 * are gone when it is opened again. So writes go one at a time, and the first that fails closes the handle
 * and opens a new one before anybody hears of the failure.
 *
 * Every value carries a checksum (checked-value.ts); what is damaged is set aside (mender.ts).
 */
export class LevelStore implements KeyValueStore {
  readonly #options: LevelStoreOptions;
  readonly #reserve: ReserveFile;
  readonly #mender: Mender;
  readonly #writes = new WriteCounter();
  #database: Database | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #opening: Promise<void> | undefined;
  #reserving: Promise<void> = Promise.resolve();
  #proving: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: LevelStoreOptions) {
    this.#options = options;
    this.#reserve = new ReserveFile(`${options.directory}.reserve`, options.reserveBytes ?? 0);
    this.#mender = new Mender(options.directory, (repair) => {
      options.logger.error("the store was damaged and has been repaired; readings may be missing", {
        ...repair,
      });
      options.onRepaired?.(repair);
    });
  }

  /**
   * Opens the store, and mends it where it is damaged.
   * @throws StoreError `store.locked` when another process has it, `store.full`, `store.failed`.
   */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const store = new LevelStore(options);
    await store.#open();
    return store;
  }

  get generation(): number {
    return this.#mender.generation;
  }

  repairs(): readonly StoreRepair[] {
    return this.#mender.repairs;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#reading("reading the store", (database) => database.get(key));
    if (sealed === undefined) return undefined;
    const value = openValue(key, sealed);
    if (value === undefined) await this.#setAside([[key, sealed]]);
    return value;
  }

  async range(range: StoreRange): Promise<StoreEntry[]> {
    const damaged: DamagedEntry[] = [];
    const entries = await this.#reading("reading the store", (database) => {
      damaged.length = 0;
      return readRange(database, range, damaged);
    });
    if (damaged.length > 0) await this.#setAside(damaged);
    return entries;
  }

  write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void> {
    return this.#alone(async () => {
      const database = await this.#ready();
      const { ifGeneration = this.generation } = options;
      if (ifGeneration !== this.generation)
        throw new StoreError("store.corrupt", "the store was repaired meanwhile; read it anew");
      this.#writes.count(operations, options.durable);
      try {
        await database.batch(operations.map(sealed), { sync: options.durable });
      } catch (error) {
        const failure = asStoreError(error, "writing the store");
        await this.#reopen(failure);
        throw failure;
      }
    });
  }

  approximateSize(gte: string, lt: string): Promise<number> {
    return this.#reading("reading the store", (database) => database.approximateSize(gte, lt));
  }

  compact(gte: string, lt: string): Promise<void> {
    return this.#reading("compacting the store", (database) => database.compactRange(gte, lt));
  }

  written(): StoreWritten {
    return this.#writes.written();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#alone(async () => {
      await this.#opening?.catch(() => undefined);
      await this.#database?.close();
      this.#database = undefined;
      await this.#reserving;
      clearTimeout(this.#proving);
      this.#mender.proven();
    });
  }

  /** One write at a time: a second one on a handle that is about to fail could be acknowledged and lost. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #ready(): Promise<Database> {
    if (this.#database?.status === "open") return this.#database;
    if (this.#closed) throw new StoreError("store.closed", "the store is closed");
    // It is being opened again, or that failed earlier: whoever needs the store next tries once more.
    if (this.#database === undefined) await this.#openShared(() => this.#open());
    if (this.#database === undefined)
      throw new StoreError("store.failed", "the store could not be opened");
    return this.#database;
  }

  /** Reads, mends the store when it turns out to be damaged, and reads again. */
  async #reading<T>(doing: string, read: (database: Database) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const database = await this.#ready();
      try {
        return await read(database);
      } catch (error) {
        const failure = asStoreError(error, doing);
        if (attempt === READ_ATTEMPTS || this.#closed) throw failure;
        // Closed by a failed write meanwhile, and opened anew.
        if (database !== this.#database) continue;
        if (!isDamage(failure)) throw failure;
        await this.#mend(database, failure);
      }
    }
  }

  #mend(database: Database, damage: StoreError): Promise<void> {
    return this.#alone(async () => {
      if (database !== this.#database || this.#closed) return;
      this.#database = undefined;
      await this.#openShared(async () => {
        await database.close();
        await this.#mender.rebuild(damage.message);
        await this.#open();
      });
    });
  }

  /** Takes entries out that are not what was written. */
  async #setAside(damaged: readonly DamagedEntry[]): Promise<void> {
    const work = this.#alone(async () => {
      const database = await this.#ready();
      const still: DamagedEntry[] = [];
      for (const [key] of damaged) {
        const sealed = await database.get(key);
        if (sealed !== undefined && openValue(key, sealed) === undefined) still.push([key, sealed]);
      }
      if (still.length === 0) return;
      await this.#mender.setAside(still);
      await database.batch(
        still.map(([key]) => ({ type: "del", key })),
        { sync: true },
      );
    });
    await work.catch((error: unknown) =>
      this.#options.logger.warn("could not set damaged entries aside; trying again when read", {
        reason: error instanceof Error ? error.message : String(error),
      }),
    );
  }

  /** Two handles at once would lock each other out. */
  #openShared(open: () => Promise<void>): Promise<void> {
    this.#opening ??= open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #reopen(cause: StoreError): Promise<void> {
    const { logger, directory } = this.#options;
    logger.warn("store write failed; reopening the store", { directory, reason: cause.message });
    const failed = this.#database;
    this.#database = undefined;
    try {
      await this.#openShared(async () => {
        await failed?.close();
        if (cause.code === "store.corrupt") await this.#mender.rebuild(cause.message);
        await this.#open();
      });
    } catch (error) {
      logger.error("store could not be reopened; trying again at the next use", {
        directory,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async #open(): Promise<void> {
    const open = () => openDatabase(this.#options, this.#mender);
    try {
      this.#database = await open();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "store.full" || !this.#reserve.release())
        throw error;
      this.#options.logger.warn("disk is full; used the reserve file to open the store");
      this.#database = await open();
    }
    this.#reserving = this.#reserve.keep();
    clearTimeout(this.#proving);
    this.#proving = setTimeout(() => this.#mender.proven(), PROVEN_AFTER_MS).unref();
  }
}

async function readRange(
  database: Database,
  range: StoreRange,
  damaged: DamagedEntry[],
): Promise<StoreEntry[]> {
  const { gte, lt, limit, bytesMax, reverse = false } = range;
  const { signal } = new AbortController();
  const iterator = database.iterator({ gte, lt, reverse, signal });
  const entries: StoreEntry[] = [];
  let bytes = 0;
  try {
    while (entries.length < limit) {
      const page = await iterator.nextv(Math.min(READ_MAX, limit - entries.length));
      if (page.length === 0) break;
      for (const [key, sealed] of page) {
        const value = openValue(key, sealed);
        if (value === undefined) {
          damaged.push([key, sealed]);
          continue;
        }
        entries.push([key, value]);
        bytes += value.length;
        if (bytesMax !== undefined && bytes > bytesMax) return entries;
      }
    }
    return entries;
  } finally {
    if (bytes > KEPT_BYTES_MAX) await emptied(iterator, signal);
    await iterator.close();
  }
}

/**
 * The addon keeps a copy of what an iterator read last until V8 collects the iterator, which V8 takes for a small
 * thing and does now and then: a backlog of a gigabyte would come to lie in memory. An aborted read drops the copy.
 */
async function emptied(
  iterator: ReturnType<Database["iterator"]>,
  signal: AbortSignal,
): Promise<void> {
  // The addon is to hear of it, but not the signal: with that aborted, the addon would not be asked any more.
  signal.dispatchEvent(new Event("abort"));
  try {
    await iterator.nextv(1);
  } catch (error) {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
  }
}

// Classic-level declares Buffer where any Uint8Array would do.
function sealed(operation: StoreOperation): BatchOperation<Database, string, Buffer> {
  if (operation.type === "del") return { type: "del", key: operation.key };
  const { type, key, value } = operation;
  return { type, key, value: sealValue(key, value) };
}

/** A sector that the medium can not read any more is damage like any other. */
function isDamage({ code, message }: StoreError): boolean {
  return code === "store.corrupt" || /input\/output error/i.test(message);
}
