import type { Clock, Timer } from "../../clock.ts";
import type { KeyValueStore, StoreOperation } from "../../key-value-store.ts";
import type { Logger } from "../../logger.ts";
import { QUEUES } from "./keys.ts";

const LINGER_MS = 200;
const RETRY_MS = 5_000;

interface Batch {
  readonly operations: Map<string, StoreOperation>;
  readonly written: PromiseWithResolvers<void>;
  durable: boolean;
  /** Somebody waits for it; otherwise it may linger for what comes next. */
  wanted: boolean;
}

/**
 * Gathers changes while the disk is busy and writes them in one batch. Of several changes to one key only
 * the last is written, so what comes and goes quickly costs no flash at all.
 */
export class Journal {
  readonly #store: KeyValueStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #batch: Batch | undefined;
  #underWay: Batch | undefined;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #failing = false;

  constructor(parts: { store: KeyValueStore; clock: Clock; logger: Logger }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  put(key: string, value: Uint8Array): void {
    this.#add({ type: "put", key, value });
  }

  delete(key: string): void {
    this.#add({ type: "del", key });
  }

  /** What was put and is not written yet; null: it is about to be deleted. */
  pending(key: string): Uint8Array | null | undefined {
    const operation = this.#batch?.operations.get(key) ?? this.#underWay?.operations.get(key);
    if (operation === undefined) return undefined;
    return operation.type === "put" ? operation.value : null;
  }

  /** Resolves when every change so far survives power loss. @throws StoreError */
  async durable(): Promise<void> {
    const batch = this.#batch;
    if (batch !== undefined) batch.durable = true;
    await this.flush();
  }

  /** Resolves when every change so far survives `kill -9`. @throws StoreError */
  async flush(): Promise<void> {
    const batch = this.#batch ?? this.#underWay;
    if (batch === undefined) return;
    batch.wanted = true;
    void this.#drain();
    await batch.written.promise;
  }

  /**
   * Like {@link durable}, for what has to go on without the disk too: a sensor that wants a will must get in
   * while the disk is full. The failure is logged, and what was not written is written when the disk can.
   */
  async durableIfPossible(): Promise<void> {
    await this.durable().catch(() => undefined);
  }

  #add(operation: StoreOperation): void {
    this.#batch ??= newBatch();
    this.#batch.operations.set(operation.key, operation);
    this.#wakeAfter(LINGER_MS);
  }

  #wakeAfter(delayMs: number): void {
    this.#timer ??= this.#clock.setTimer("broker-state.flush", delayMs, () => {
      this.#timer = undefined;
      if (this.#batch !== undefined) this.#batch.wanted = true;
      void this.#drain();
    });
  }

  /** Writes batch after batch until nothing is left. */
  #drain(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    // What is asked for in the same turn of the event loop joins this batch.
    await Promise.resolve();
    for (let batch = this.#batch; batch?.wanted === true; batch = this.#batch) {
      this.#batch = undefined;
      this.#underWay = batch;
      this.#timer?.cancel();
      this.#timer = undefined;
      try {
        await this.#store.write([...batch.operations.values()], { durable: batch.durable });
        this.#failing = false;
        batch.written.resolve();
      } catch (error) {
        if (!this.#failing)
          this.#logger.warn("what the MQTT broker remembers could not be written", {
            reason: error instanceof Error ? error.message : String(error),
          });
        this.#failing = true;
        this.#keepForLater(batch);
        batch.written.reject(error);
      }
      this.#underWay = undefined;
    }
  }

  /** Messages are their publisher's to send again; everything else is written when the disk can. */
  #keepForLater({ operations }: Batch): void {
    const next = this.#batch ?? newBatch();
    for (const [key, operation] of operations) {
      if (operation.type === "put" && key.startsWith(QUEUES.gte)) continue;
      if (!next.operations.has(key)) next.operations.set(key, operation);
    }
    if (next.operations.size === 0) return;
    this.#batch = next;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakeAfter(RETRY_MS);
  }
}

function newBatch(): Batch {
  const written = Promise.withResolvers<void>();
  // Nobody may be waiting for it; the failure is logged where it happens.
  written.promise.catch(() => undefined);
  return { operations: new Map(), written, durable: false, wanted: false };
}
