import type { KeyValueStore } from "../platform/key-value-store.ts";
import { LevelStore } from "../platform/level/level-store.ts";
import type { Logger } from "../platform/logger.ts";
import { DataDirectory } from "../platform/node/data-directory.ts";
import { SystemClock } from "../platform/node/system-clock.ts";
import { silentLogger } from "../platform/silent-logger.ts";
import type { ReceivedUpdate, UpdateSink } from "../platform/update-sink.ts";
import type { ReceiverLimits } from "./options.ts";
import { createReceiver, type Receiver } from "./receiver.ts";

export type { ReceivedUpdate, UpdateSink } from "../platform/update-sink.ts";
export type { ReceiverLimits } from "./options.ts";
export { createReceiver, type Receiver, type ReceiverOptions } from "./receiver.ts";
export type { TakeResult } from "./take.ts";

const STORE_RESERVE_BYTES = 8 * 1_024 * 1_024;

/** How a receiver is opened on this machine. */
export interface OpenReceiverOptions {
  /** Made if it is not there; one process at a time has it. */
  readonly dataDirectory: string;
  readonly limits?: Partial<ReceiverLimits>;
  /** Gets every update once, in order of arrival; see `ReceiverOptions.onUpdate`. */
  readonly onUpdate?: (update: ReceivedUpdate) => void | Promise<void>;
  /** Gets updates in batches, and keeps its own mark with its place; instead of `onUpdate`. */
  readonly sink?: UpdateSink;
  /** Nothing is logged where it is absent. */
  readonly logger?: Logger;
}

/** A receiver with the store that it was opened on. */
export interface OpenReceiver extends Receiver {
  readonly store: KeyValueStore;
}

/**
 * Opens a receiver on LevelDB under a data directory. `close()` closes the store too.
 * @throws StoreError `store.locked` when another process has it; Error naming the directory when it can not be used
 */
export async function openReceiver(options: OpenReceiverOptions): Promise<OpenReceiver> {
  const { logger = silentLogger } = options;
  const { storeDirectory } = new DataDirectory(options.dataDirectory);
  const store = await LevelStore.open({
    directory: storeDirectory,
    logger: logger.child("store"),
    writeBufferBytes: 16 * 1_024 * 1_024,
    cacheBytes: 16 * 1_024 * 1_024,
    reserveBytes: STORE_RESERVE_BYTES,
  });
  try {
    const receiver = await createReceiver({
      ...options,
      store,
      clock: new SystemClock(),
      logger: logger.child("receiver"),
    });
    return {
      store,
      take: (lines, agentId) => receiver.take(lines, agentId),
      offer: (update, settle) => receiver.offer(update, settle),
      marks: (request) => receiver.marks(request),
      read: (query) => receiver.read(query),
      agents: () => receiver.agents(),
      streams: (agentId) => receiver.streams(agentId),
      forget: (agentId) => receiver.forget(agentId),
      status: () => receiver.status(),
      async close() {
        await receiver.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}
