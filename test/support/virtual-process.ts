import type { Clock, Timer } from "../../src/platform/clock.ts";
import type {
  KeyValueStore,
  StoreEntry,
  StoreOperation,
  StoreRange,
  StoreRepair,
  StoreWritten,
  WriteOptions,
} from "../../src/platform/key-value-store.ts";
import type { Random } from "../../src/platform/random.ts";
import {
  MemoryKeyValueStore,
  type VirtualDisk,
} from "../../src/simulator/memory-key-value-store.ts";
import type { VirtualClock } from "../../src/simulator/virtual-clock.ts";

/** The clock as one process sees it: {@link kill} takes the process's timers with it, and nobody else's. */
export class ProcessClock implements Clock {
  readonly #clock: VirtualClock;
  #alive = true;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get bootId(): string {
    return this.#clock.bootId;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  wallTrusted(): boolean {
    return this.#clock.wallTrusted();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    return this.#clock.setTimer(name, delayMs, () => {
      if (this.#alive) callback();
    });
  }

  kill(): void {
    this.#alive = false;
  }
}

/**
 * A virtual disk that takes its time: every operation starts late and is answered late, so that whatever may
 * happen in between does. What a killed process had not started never happens.
 */
export class SlowStore implements KeyValueStore {
  readonly generation = 0;
  readonly #store: MemoryKeyValueStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #beforeWrite: (operations: readonly StoreOperation[]) => void;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    disk: VirtualDisk;
    clock: Clock;
    random: Random;
    /** Sees every batch at the moment when it reaches the disk; a throw fails the test. */
    beforeWrite: (operations: readonly StoreOperation[]) => void;
  }) {
    this.#store = new MemoryKeyValueStore(parts.disk);
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#beforeWrite = parts.beforeWrite;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#late(() => this.#store.get(key));
  }

  range(range: StoreRange): Promise<StoreEntry[]> {
    return this.#late(() => this.#store.range(range));
  }

  write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void> {
    const written = this.#turn.then(() =>
      this.#late(async () => {
        const room = this.#store.disk.bytesMax - this.#store.disk.bytes;
        const growth = operations.reduce(
          (sum, operation) =>
            operation.type === "put" ? sum + operation.key.length + operation.value.length : sum,
          0,
        );
        if (growth <= room) this.#beforeWrite(operations);
        await this.#store.write(operations, options);
      }),
    );
    this.#turn = written.catch(() => undefined);
    return written;
  }

  approximateSize(gte: string, lt: string): Promise<number> {
    return this.#store.approximateSize(gte, lt);
  }

  compact(): Promise<void> {
    return this.#late(() => this.#store.compact());
  }

  repairs(): readonly StoreRepair[] {
    return this.#store.repairs();
  }

  written(): StoreWritten {
    return this.#store.written();
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#store.close();
  }

  async #late<T>(work: () => Promise<T>): Promise<T> {
    await this.#delay();
    try {
      return await work();
    } finally {
      await this.#delay();
    }
  }

  #delay(): Promise<void> {
    const delayMs = Math.floor(this.#random.next() * 4);
    return new Promise((resolve) => {
      this.#clock.setTimer("disk", delayMs, resolve);
    });
  }
}
