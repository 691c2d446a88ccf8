import * as fc from "fast-check";
import t from "tap";
import type { OutboxOptions } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { decodeRecord } from "../../src/outbox/record-codec.ts";
import { type Update, updateId } from "../../src/outbox/update.ts";
import type { StoreOperation } from "../../src/platform/key-value-store.ts";
import type { Logger } from "../../src/platform/logger.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { SeededRandom } from "../../src/simulator/seeded-random.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { ProcessClock, SlowStore } from "../support/virtual-process.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const QUOTA = 4_000;
const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      stream: fc.constantFrom("a", "b", "c"),
      priority: fc.constantFrom(2, 5, 9),
      bytes: fc.constantFrom(20, 20, 200, 900),
      expiresAfterMs: fc.constantFrom(0, 0, 0, 40_000),
      times: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("lease" as const),
      limit: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("acknowledge" as const, "acknowledge" as const, "refuse" as const),
      at: fc.constantFrom(0, 0, 0, 1, 3),
      times: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 2, 3, 5, 60, 1_000, 31_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "rewind" as const,
        "rewind" as const,
        "kill" as const,
        "power-cut" as const,
        "restart" as const,
        "disk-full" as const,
        "disk-freed" as const,
      ),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** One outbox, its disk, its receiver, and what must hold between them. */
class Trial {
  readonly clock = new VirtualClock();
  readonly disk = new VirtualDisk();
  readonly random = new SeededRandom("disk");
  readonly options: OutboxOptions;
  /** True time: the device's own clocks start anew with every boot. */
  nowMs = 0;
  process!: ProcessClock;
  outbox!: Outbox;
  leasing = false;
  /** Found where nobody waits for the answer. */
  fault: unknown;
  outstanding: Update[] = [];
  made = 0;
  /** By the marker in their payload. */
  readonly bornMs = new Map<string, number>();
  readonly expiresAfterMs = new Map<string, number>();
  readonly thanked = new Set<string>();
  readonly acknowledged = new Set<string>();
  readonly shed = new Set<string>();
  readonly expired = new Set<string>();
  readonly lastOnDisk = new Map<number, number>();
  readonly received = new Map<string, { marker: string }>();
  readonly newestReceived = new Map<string, number>();

  constructor(evict: OutboxOptions["evict"], commitLingerMs: number) {
    this.options = {
      bytesMax: QUOTA,
      evict,
      commitLingerMs,
      expireAfterMs: 0,
      updateBytesMax: 1_000,
      streamsMax: 10,
      deadLetterBytesMax: 1_000_000,
      cacheBytesMax: 600,
    };
  }

  async open(): Promise<void> {
    this.process = new ProcessClock(this.clock);
    this.leasing = false;
    this.outstanding = [];
    const store = new SlowStore({
      disk: this.disk,
      clock: this.process,
      random: this.random,
      beforeWrite: (operations) => this.inspect(operations),
    });
    const opening = Outbox.open({
      store,
      clock: this.process,
      logger: silent,
      events: { emit: () => undefined },
      agentId: "agent",
      options: this.options,
    });
    this.outbox = await this.await(opening);
    this.compareWithDisk("after opening");
  }

  async await<T>(work: Promise<T>): Promise<T> {
    const progress = { done: false };
    const settled = work.finally(() => {
      progress.done = true;
    });
    settled.catch(() => undefined);
    for (let turn = 0; !progress.done; turn++) {
      if (turn > 10_000) throw new Error("never settles");
      await this.wait(1);
    }
    return settled;
  }

  async wait(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.clock.advance(ms);
    if (this.fault !== undefined) throw this.fault;
    const { bytes } = this.outbox?.status() ?? { bytes: 0 };
    if (bytes > QUOTA || bytes < 0) throw new Error(`${bytes} bytes queued, quota ${QUOTA}`);
  }

  onDisk(prefix: string): { count: number; bytes: number } {
    const entries = this.disk.range({ gte: prefix, lt: `${prefix}~~`, limit: 1e6 });
    return {
      count: entries.length,
      bytes: entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0),
    };
  }

  compareWithDisk(when: string): void {
    const { updates, bytes, deadLetters, deadLetterBytes } = this.outbox.status();
    const [queued, letters] = [this.onDisk("q"), this.onDisk("d/")];
    const books = JSON.stringify([updates, bytes, deadLetters, deadLetterBytes]);
    const disk = JSON.stringify([queued.count, queued.bytes, letters.count, letters.bytes]);
    if (books !== disk) throw new Error(`${when}: the books say ${books}, the disk ${disk}`);
  }

  /** Looks at a batch as it reaches the disk: numbers without gaps, and no deletion without a reason. */
  inspect(operations: readonly StoreOperation[]): void {
    const letters = operations
      .filter(({ key }) => key.startsWith("d/"))
      .map((operation) =>
        operation.type === "put" ? Buffer.from(operation.value).toString() : "",
      );
    const grows = operations.some(({ type, key }) => type === "put" && key.startsWith("q"));
    for (const operation of operations) {
      if (!operation.key.startsWith("q")) continue;
      if (operation.type === "put") {
        const { streamId, sequence } = decodeRecord(operation.value);
        const last = this.lastOnDisk.get(streamId) ?? 0;
        if (sequence !== last + 1) throw new Error(`sequence ${sequence} follows ${last}`);
        this.lastOnDisk.set(streamId, sequence);
        continue;
      }
      const value = this.disk.get(operation.key);
      if (value === undefined) throw new Error(`deletes ${operation.key}, which is not there`);
      const marker = markerOf(decodeRecord(value).payload);
      if (this.acknowledged.has(marker)) continue;
      if (letters.some((letter) => letter.includes(`${marker};`))) continue;
      const limitMs = this.expiresAfterMs.get(marker) ?? 0;
      if (limitMs > 0 && this.nowMs - (this.bornMs.get(marker) ?? 0) > limitMs) {
        this.expired.add(marker);
        continue;
      }
      if (this.options.evict === "reject" || !grows) throw new Error(`${marker} vanishes`);
      this.shed.add(marker);
    }
  }

  append({ stream, priority, bytes, expiresAfterMs }: Extract<Step, { do: "append" }>): void {
    const marker = `m${++this.made}`;
    this.bornMs.set(marker, this.nowMs);
    this.expiresAfterMs.set(marker, expiresAfterMs);
    const payload = Buffer.from(`${marker};`.padEnd(bytes, "."));
    const draft = { stream, priority, payload, contentType: "text/plain", expiresAfterMs };
    const { process } = this;
    this.outbox.append(draft, (error, update) => {
      if (process !== this.process) return;
      if (error === undefined && update !== undefined) this.thanked.add(marker);
    });
  }

  async lease(limit: number): Promise<void> {
    if (this.leasing) return;
    this.leasing = true;
    const { process } = this;
    const leased = await this.outbox.lease(limit).catch(() => []);
    if (process !== this.process) return;
    this.leasing = false;
    try {
      for (const update of leased) this.receive(update);
    } catch (error) {
      this.fault ??= error;
    }
    this.outstanding.push(...leased);
  }

  /** A receiver that looks at ids: order is that of first arrivals. */
  receive(update: Update): void {
    const id = updateId(update);
    const marker = markerOf(update.payload);
    const known = this.received.get(id);
    if (known !== undefined) {
      if (known.marker !== marker) throw new Error(`${id} is ${known.marker} and ${marker}`);
      return;
    }
    this.received.set(id, { marker });
    const newest = this.newestReceived.get(update.stream) ?? 0;
    if (update.sequence <= newest) throw new Error(`${id} comes after ${newest}`);
    this.newestReceived.set(update.stream, update.sequence);
  }

  settle(how: "acknowledge" | "refuse", at: number): void {
    const [update] = this.outstanding.splice(Math.min(at, this.outstanding.length - 1), 1);
    if (update === undefined) return;
    if (how === "refuse") {
      this.outbox.refuse(update, "receiver.refused", "no");
      return;
    }
    this.acknowledged.add(markerOf(update.payload));
    this.outbox.acknowledge(update);
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case "append":
        for (let n = 0; n < step.times; n++) this.append(step);
        return;
      case "lease":
        void this.lease(step.limit);
        return;
      case "acknowledge":
      case "refuse":
        for (let n = 0; n < step.times; n++) this.settle(step.do, step.at);
        return;
      case "wait":
        await this.wait(step.ms);
        return;
      case "rewind":
        this.outstanding = [];
        this.outbox.rewind();
        return;
      case "disk-full":
        this.disk.bytesMax = this.disk.bytes + 100;
        return;
      case "disk-freed":
        this.disk.bytesMax = Number.POSITIVE_INFINITY;
        return;
      case "restart":
        await this.await(this.outbox.close().catch(() => undefined));
        this.process.kill();
        await this.open();
        return;
      case "kill":
        this.process.kill();
        await this.open();
        return;
      case "power-cut":
        this.process.kill();
        this.disk.crash();
        this.clock.reboot();
        await this.open();
    }
  }

  /** Everything goes well from here on: what is left must leave, and the sums must add up. */
  async finish(): Promise<void> {
    this.disk.bytesMax = Number.POSITIVE_INFINITY;
    await this.wait(2_000);
    this.outstanding = [];
    this.outbox.rewind();
    for (let turn = 0; this.outbox.status().updates > 0; turn++) {
      if (turn > 500) throw new Error(`${this.outbox.status().updates} updates are stuck`);
      void this.lease(1 + (turn % 5));
      await this.wait(20);
      while (this.outstanding.length > 0) this.settle("acknowledge", 0);
    }
    await this.wait(2_000);
    this.compareWithDisk("in the end");
    const letters = await this.await(this.outbox.listDeadLetters({ limit: 10_000 }));
    const dead = new Set(letters.deadLetters.map(({ payload }) => markerOf(payload)));
    for (const marker of this.thanked) {
      const fate = [this.acknowledged, dead, this.shed, this.expired].some((set) =>
        set.has(marker),
      );
      if (!fate) throw new Error(`${marker} was thanked for and is nowhere`);
    }
    await this.await(this.outbox.close());
  }
}

function markerOf(payload: Uint8Array): string {
  return Buffer.from(payload).toString("utf8").split(";", 1)[0] ?? "";
}

for (const evict of ["drop-oldest", "drop-lowest-priority", "reject"] as const)
  t.test(`whatever happens, nothing that was thanked for is lost (${evict})`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 80 }),
        fc.constantFrom(0, 0, 5),
        async (steps, commitLingerMs) => {
          const trial = new Trial(evict, commitLingerMs);
          await trial.open();
          for (const step of steps) await trial.run(step);
          await trial.finish();
        },
      ),
    );
    t.pass("held");
  });
