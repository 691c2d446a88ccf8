import { ClassicLevel } from "classic-level";
import { StoreError } from "../key-value-store.ts";
import { openValue, sealValue } from "./checked-value.ts";
import type { Mender } from "./mender.ts";
import { asStoreError } from "./store-error.ts";

/** LevelDB's handle. */
export type Database = ClassicLevel<string, Buffer>;

/** Past every key that anybody may use: those are printable ASCII. */
const FORMAT_KEY = "\x7fformat";
const FORMAT = "checked values";
const EVERYTHING = { gte: "", lt: "\x7f" } as const;
/**
 * LevelDB keeps the tables that it has read mapped into memory: 64 of them, which is the least that can be asked for
 * (it takes ten files for itself). They are pages that the kernel takes back when somebody needs them, and count as
 * the process's memory until then: small tables bound them.
 */
const OPEN_FILES_MAX = 74;
const TABLE_BYTES = 1024 * 1024;
/** Tables fresh from memory are as large as this. */
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
const CACHE_BYTES = 2 * 1024 * 1024;
const SEAL_PAGE = 500;
/** classic-level limits an iterator's page by this many bytes, too. */
const SEAL_PAGE_BYTES = 1024 * 1024;

/** Opens the database and mends it where it is damaged. @throws StoreError */
export async function openDatabase(
  options: {
    readonly directory: string;
    readonly writeBufferBytes?: number;
    readonly cacheBytes?: number;
  },
  mender: Mender,
): Promise<Database> {
  const doing = `opening ${options.directory}`;
  const openOnce = async (): Promise<Database> => {
    const database: Database = new ClassicLevel(options.directory, {
      keyEncoding: "utf8",
      valueEncoding: "buffer",
      writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
      cacheSize: options.cacheBytes ?? CACHE_BYTES,
      maxOpenFiles: OPEN_FILES_MAX,
      maxFileSize: TABLE_BYTES,
    });
    try {
      await database.open();
      // A repair puts every table side by side, where a look-up takes the newest file for the newest value.
      if (mender.mustSort) {
        await database.compactRange(EVERYTHING.gte, EVERYTHING.lt);
        await mender.sorted();
      }
      await sealOldValues(database, mender.generation);
      return database;
    } catch (error) {
      await database.close();
      throw asStoreError(error, doing);
    }
  };
  await mender.beforeOpening();
  try {
    return await openOnce();
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    await mender.rebuild(error.message);
  }
  try {
    return await openOnce();
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    await mender.replace(error.message);
  }
  return openOnce();
}

function isCorrupt(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === "store.corrupt";
}

/**
 * Stores of version 0.1.0 have values without checksums. Values that carry theirs already are left alone, so
 * that this may be killed and begun again.
 */
async function sealOldValues(database: Database, generation: number): Promise<void> {
  if ((await database.get(FORMAT_KEY)) !== undefined) return;
  // After a repair a value without a matching checksum is damaged, not old.
  if (generation === 0) {
    const iterator = database.iterator({ ...EVERYTHING, highWaterMarkBytes: SEAL_PAGE_BYTES });
    try {
      for (;;) {
        const page = await iterator.nextv(SEAL_PAGE);
        if (page.length === 0) break;
        const old = page.filter(([key, value]) => openValue(key, value) === undefined);
        await database.batch(
          old.map(([key, value]) => ({ type: "put", key, value: sealValue(key, value) })),
        );
      }
    } finally {
      await iterator.close();
    }
  }
  await database.put(FORMAT_KEY, Buffer.from(FORMAT), { sync: true });
}
