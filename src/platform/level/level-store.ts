import { type BatchOperation, ClassicLevel } from "classic-level";
import type { KeyValueStore, StoreEntry, StoreOperation, StoreRange } from "../key-value-store.ts";
import { StoreError } from "../key-value-store.ts";
import type { Logger } from "../logger.ts";
import { ReserveFile } from "./reserve-file.ts";

type Database = ClassicLevel<string, Buffer>;

/** How a {@link LevelStore} is opened. */
export interface LevelStoreOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** LevelDB keeps this much in memory before it writes a table, twice over at worst. */
  readonly writeBufferBytes?: number;
  readonly cacheBytes?: number;
  /** Kept free beside the store, since replaying the log of a full disk needs room. 0: none. */
  readonly reserveBytes?: number;
}

/**
 * {@link KeyValueStore} on LevelDB.
 *
 * After a failed write (a full disk, an fsync error) a LevelDB handle may go on acknowledging writes that
 * are gone when it is opened again. So writes go one at a time, and the first that fails closes the handle
 * and opens a new one before anybody hears of the failure.
 */
export class LevelStore implements KeyValueStore {
  readonly #options: LevelStoreOptions;
  readonly #reserve: ReserveFile;
  #database: Database | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(options: LevelStoreOptions, reserve: ReserveFile) {
    this.#options = options;
    this.#reserve = reserve;
  }

  /** @throws StoreError `store.locked` when another process has it, `store.full`, `store.corrupt`. */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const reserve = new ReserveFile(`${options.directory}.reserve`, options.reserveBytes ?? 0);
    const store = new LevelStore(options, reserve);
    await store.#open();
    return store;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const database = await this.#ready();
    try {
      return await database.get(key);
    } catch (error) {
      throw asStoreError(error, "reading the store");
    }
  }

  async range(range: StoreRange): Promise<StoreEntry[]> {
    const database = await this.#ready();
    const iterator = database.iterator({
      gte: range.gte,
      lt: range.lt,
      limit: range.limit,
      reverse: range.reverse ?? false,
    });
    const entries: StoreEntry[] = [];
    let bytes = 0;
    try {
      while (entries.length < range.limit) {
        const page = await iterator.nextv(Math.min(1_000, range.limit - entries.length));
        if (page.length === 0) break;
        for (const entry of page) {
          entries.push(entry);
          bytes += entry[1].length;
          if (range.bytesMax !== undefined && bytes > range.bytesMax) return entries;
        }
      }
      return entries;
    } catch (error) {
      throw asStoreError(error, "reading the store");
    } finally {
      await iterator.close();
    }
  }

  write(operations: readonly StoreOperation[], options: { durable: boolean }): Promise<void> {
    return this.#alone(async () => {
      const database = await this.#ready();
      try {
        await database.batch(operations as Operation[], {
          sync: options.durable,
        });
      } catch (error) {
        const failure = asStoreError(error, "writing the store");
        await this.#reopen(failure);
        throw failure;
      }
    });
  }

  async approximateSize(gte: string, lt: string): Promise<number> {
    return (await this.#ready()).approximateSize(gte, lt);
  }

  async compact(gte: string, lt: string): Promise<void> {
    try {
      await (await this.#ready()).compactRange(gte, lt);
    } catch (error) {
      throw asStoreError(error, "compacting the store");
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#alone(async () => {
      await this.#opening?.catch(() => undefined);
      await this.#database?.close();
      this.#database = undefined;
      await this.#reserving;
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
    return this.#database ?? fail("store.failed", "the store could not be opened");
  }

  /** Two handles at once would lock each other out. */
  #openShared(open: () => Promise<void>): Promise<void> {
    this.#opening ??= open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }
  #opening: Promise<void> | undefined;
  #reserving: Promise<void> = Promise.resolve();

  async #reopen(cause: StoreError): Promise<void> {
    const { logger, directory } = this.#options;
    logger.warn("store write failed; reopening the store", { directory, reason: cause.message });
    const failed = this.#database;
    this.#database = undefined;
    try {
      await this.#openShared(async () => {
        await failed?.close();
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
    try {
      this.#database = await this.#openOnce();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "store.full" || !this.#reserve.release())
        throw error;
      this.#options.logger.warn("disk is full; used the reserve file to open the store");
      this.#database = await this.#openOnce();
    }
    this.#reserving = this.#reserve.keep();
  }

  async #openOnce(): Promise<Database> {
    const database: Database = new ClassicLevel(this.#options.directory, {
      keyEncoding: "utf8",
      valueEncoding: "buffer",
      writeBufferSize: this.#options.writeBufferBytes ?? 4 * 1024 * 1024,
      cacheSize: this.#options.cacheBytes ?? 2 * 1024 * 1024,
    });
    try {
      await database.open();
      return database;
    } catch (error) {
      throw asStoreError(error, `opening ${this.#options.directory}`);
    }
  }
}

// StoreOperation has the shape that classic-level takes, but for Uint8Array where Buffer is declared.
type Operation = BatchOperation<Database, string, Buffer>;

function fail(code: StoreError["code"], message: string): never {
  throw new StoreError(code, message);
}

function asStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  // abstract-level wraps the native error; the innermost one says what happened.
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const code = inner instanceof Error && "code" in inner ? String(inner.code) : "";
  const message = inner instanceof Error ? inner.message : String(inner);
  const told = `${doing}: ${message}`;
  const options = { cause: error };
  if (code === "LEVEL_LOCKED")
    return new StoreError(
      "store.locked",
      "the data directory is in use by another process; stop that one or set another --data",
      options,
    );
  if (/no space left|disk quota|ENOSPC|EDQUOT/i.test(message))
    return new StoreError("store.full", told, options);
  // A file that the manifest names and nobody can find is damage too.
  if (code === "LEVEL_CORRUPTION" || /corruption|no such file/i.test(message))
    return new StoreError(
      "store.corrupt",
      `${told}; move the directory away to start with an empty outbox`,
      options,
    );
  if (/permission denied|read-only file system|EACCES|EROFS/i.test(message))
    return new StoreError(
      "store.failed",
      `${told}; make everything in the data directory writable for the agent's user, or choose another with --data`,
      options,
    );
  if (code === "LEVEL_DATABASE_NOT_OPEN") return new StoreError("store.closed", told, options);
  return new StoreError("store.failed", told, options);
}
