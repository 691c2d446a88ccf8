import type { Clock } from "../platform/clock.ts";
import {
  type KeyValueStore,
  type StoreEntry,
  StoreError,
  type StoreOperation,
  type StoreRange,
  type StoreRepair,
  type StoreWritten,
  sizeOfOperations,
  type WriteOptions,
} from "../platform/key-value-store.ts";
import type { Random } from "../platform/random.ts";
import type { VirtualDisk } from "./memory-key-value-store.ts";

/** How a simulated disk behaves; it may change at any time. */
export interface DiskManners {
  /** A sync takes this long, least and most. */
  syncMs: readonly [least: number, most: number];
  /** Chance that a write fails. It may have reached the disk all the same. */
  writeFailureRate: number;
}

interface Pending {
  readonly operations: readonly StoreOperation[];
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * One process's handle on a {@link VirtualDisk}: writes go through a log in order and take their time. When the process
 * or the device dies, some of what was under way has made it to the disk and the rest has not, always whole batches and
 * never one without those before it, as LevelDB's log has it.
 */
export class SimulatedStore implements KeyValueStore {
  readonly generation: number;
  readonly #disk: VirtualDisk;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #manners: DiskManners;
  readonly #repairs: readonly StoreRepair[];
  #pending: Pending[] = [];
  #writing = false;
  #state: "open" | "closed" | "gone" = "open";
  #idle: (() => void) | undefined;
  #bytes = 0;
  #syncs = 0;

  constructor(
    disk: VirtualDisk,
    parts: {
      readonly clock: Clock;
      readonly random: Random;
      readonly manners: DiskManners;
      readonly generation: number;
      readonly repairs: readonly StoreRepair[];
    },
  ) {
    this.#disk = disk;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#manners = parts.manners;
    this.#repairs = parts.repairs;
    this.generation = parts.generation;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#with(() => this.#disk.get(key));
  }

  write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void> {
    if (this.#state === "gone") return never();
    if (this.#state === "closed") return Promise.reject(closed());
    if (options.ifGeneration !== undefined && options.ifGeneration !== this.generation)
      return Promise.reject(new StoreError("store.corrupt", "the store was repaired meanwhile"));
    return new Promise((resolve, reject) => {
      // The caller may use its buffers again before the disk has them.
      const kept = operations.map((operation) =>
        operation.type === "put"
          ? { ...operation, value: Uint8Array.from(operation.value) }
          : operation,
      );
      this.#pending.push({ operations: kept, durable: options.durable, resolve, reject });
      this.#next();
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
    return this.#repairs;
  }

  written(): StoreWritten {
    return { bytes: this.#bytes, syncs: this.#syncs };
  }

  async close(): Promise<void> {
    if (this.#state === "gone") return never();
    if (this.#pending.length > 0 || this.#writing)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    this.#state = "closed";
  }

  /**
   * The process ends here and now.
   * @param powerLost the device too: what was written and not synced is lost
   */
  die(powerLost: boolean): void {
    if (this.#state !== "open") return;
    this.#state = "gone";
    const made = Math.floor(this.#random.next() * (this.#pending.length + 1));
    for (const { operations, durable } of this.#pending.slice(0, made)) {
      try {
        this.#disk.apply(operations, durable);
      } catch {
        break;
      }
    }
    this.#pending = [];
    if (powerLost) this.#disk.crash();
  }

  #next(): void {
    const first = this.#pending[0];
    if (this.#writing || first === undefined) return;
    this.#writing = true;
    const { syncMs } = this.#manners;
    const [least, most] = syncMs;
    const delayMs = first.durable ? least + (most - least) * this.#random.next() : 0;
    this.#clock.setTimer("disk", delayMs, () => {
      this.#writing = false;
      if (this.#state !== "gone") this.#finish(first);
    });
  }

  #finish(write: Pending): void {
    this.#pending.shift();
    const { writeFailureRate } = this.#manners;
    try {
      if (writeFailureRate > 0 && this.#random.next() < writeFailureRate) {
        // A write that failed may have reached the disk all the same.
        if (this.#random.next() < 0.5) this.#disk.apply(write.operations, write.durable);
        throw new StoreError("store.failed", "writing the store: input/output error");
      }
      this.#disk.apply(write.operations, write.durable);
      this.#bytes += sizeOfOperations(write.operations);
      if (write.durable) this.#syncs++;
      write.resolve();
    } catch (error) {
      write.reject(error as StoreError);
    }
    this.#next();
    if (this.#pending.length === 0 && !this.#writing) this.#idle?.();
  }

  #with<T>(work: () => T): Promise<T> {
    if (this.#state === "gone") return never();
    if (this.#state === "closed") return Promise.reject(closed());
    return Promise.resolve(work());
  }
}

function closed(): StoreError {
  return new StoreError("store.closed", "the store is closed");
}

/** Of a process that has ended. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
