import * as fc from "fast-check";
import t from "tap";
import type { BlockRecord } from "../../src/outbox/block.ts";
import { decodeBlock } from "../../src/outbox/block-codec.ts";
import { COUNTERS_KEY, parseUpdateKey } from "../../src/outbox/keys.ts";
import type { OutboxOptions } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import type { Update } from "../../src/outbox/update.ts";
import type { StoreOperation } from "../../src/platform/key-value-store.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { ProcessClock, SlowStore } from "../support/virtual-process.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
// Long histories, and a machine that may be busy.
t.setTimeout(300_000);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 60) });

/** A block is a 64th of it at most: some hold one update, some a few. */
const QUOTA = 6_000;

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      stream: fc.constantFrom("a", "b", "c"),
      priority: fc.constantFrom(2, 5, 9),
      key: fc.constantFrom(...Array<undefined>(7).fill(undefined), "on"),
      bytes: fc.constantFrom(20, 20, 200, 900),
      expiresAfterMs: fc.constantFrom(0, 0, 40_000),
      times: fc.constantFrom(1, 2, 5, 12, 40),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("lease" as const),
      limit: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("acknowledge" as const, "acknowledge" as const, "refuse" as const),
      at: fc.constantFrom(0, 0, 0, 1, 3),
      times: fc.integer({ min: 1, max: 10 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 2, 3, 5, 60, 1_000, 31_000, 90_000),
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
  readonly superseded = new Set<string>();
  readonly buried = new Set<string>();
  /** Which state a marker tells of, and how many of that state were made before. */
  readonly states = new Map<string, { state: string; age: number }>();
  /** How old the newest of a state is that reached the disk. */
  readonly newestOnDisk = new Map<string, number>();
  readonly lastOnDisk = new Map<number, number>();
  readonly received = new Map<string, { marker: string }>();
  readonly newestReceived = new Map<string, number>();

  constructor(evict: OutboxOptions["evict"], commitLingerMs: number, compress: boolean) {
    this.options = {
      bytesMax: QUOTA,
      evict,
      commitLingerMs,
      compress,
      commitLingerMaxMs: 1_000,
      expireAfterMs: 0,
      updateBytesMax: 1_000,
      streamsMax: 10,
      deadLetterBytesMax: 1_000_000,
      cacheBytesMax: 1_500,
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
      beforeWrite: (operations) => {
        try {
          this.inspect(operations);
        } catch (error) {
          this.fault ??= error;
        }
      },
    });
    const opening = Outbox.open({
      store,
      clock: this.process,
      logger: silentLogger,
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

  /** Counts what the disk holds, as somebody would who reads the books and then everything else. */
  onDisk(): { updates: number; bytes: number; deadLetters: number; deadLetterBytes: number } {
    const sums = { updates: 0, bytes: 0, deadLetters: 0, deadLetterBytes: 0 };
    for (const [key, value] of this.disk.range({ gte: "q", lt: "q~~", limit: 1e6 })) {
      const live = this.liveRecords(key, value).length;
      sums.updates += live;
      sums.bytes += key.length + value.length;
    }
    for (const [key, value] of this.disk.range({ gte: "d/", lt: "d0", limit: 1e6 })) {
      sums.deadLetters++;
      sums.deadLetterBytes += key.length + value.length;
    }
    return sums;
  }

  liveRecords(key: string, value: Uint8Array, books = this.disk.get(COUNTERS_KEY)): BlockRecord[] {
    const { priority, ordinal: first } = parseUpdateKey(key);
    const { records } = decodeBlock(value, first);
    if (books === undefined) return [...records];
    const { nextOrdinal, lanes } = JSON.parse(Buffer.from(books).toString()) as {
      nextOrdinal: number;
      lanes: [number, number, number, number, number, number[]][];
    };
    const [, head = nextOrdinal, , , , gone = []] = lanes.find(([lane]) => lane === priority) ?? [];
    const isGone = (ordinal: number): boolean =>
      gone.some(
        (from, at) => at % 2 === 0 && ordinal >= from && ordinal < from + (gone[at + 1] ?? 0),
      );
    return records.filter(({ ordinal }) => ordinal >= head && !isGone(ordinal));
  }

  compareWithDisk(when: string): void {
    const { updates, bytes, deadLetters, deadLetterBytes } = this.outbox.status();
    const books = JSON.stringify({ updates, bytes, deadLetters, deadLetterBytes });
    const disk = JSON.stringify(this.onDisk());
    if (books !== disk) throw new Error(`${when}: the books say ${books}, the disk ${disk}`);
  }

  /** Looks at a batch as it reaches the disk: numbers without gaps, and nothing leaves without a reason. */
  inspect(operations: readonly StoreOperation[]): void {
    for (const operation of operations)
      if (operation.type === "put" && operation.key.startsWith("d/"))
        this.buried.add(markerOf(operation.value.subarray(operation.value.indexOf(0x0a) + 1)));
    const before = new Map<string, Uint8Array>();
    for (const [key, value] of this.disk.range({ gte: "q", lt: "q~~", limit: 1e6 }))
      before.set(key, value);
    const after = new Map(before);
    let grows = false;
    for (const operation of operations) {
      if (!operation.key.startsWith("q")) continue;
      if (operation.type === "del") {
        if (!after.delete(operation.key)) throw new Error(`deletes ${operation.key}, not there`);
        continue;
      }
      const isNew = !after.has(operation.key);
      after.set(operation.key, operation.value);
      if (!isNew) continue;
      grows = true;
      const { records } = decodeBlock(operation.value, parseUpdateKey(operation.key).ordinal);
      for (const record of records) this.arrive(record);
    }
    const booksBefore = this.disk.get(COUNTERS_KEY);
    const booksAfter = operations.findLast(({ key }) => key === COUNTERS_KEY);
    const books = booksAfter?.type === "put" ? booksAfter.value : booksBefore;
    for (const [key, value] of before) {
      const now = after.get(key);
      const kept = new Set(
        now === undefined ? [] : this.liveRecords(key, now, books).map(({ ordinal }) => ordinal),
      );
      for (const { ordinal, payload } of this.liveRecords(key, value, booksBefore))
        if (!kept.has(ordinal))
          this.leave(markerOf(payload), now === undefined || now !== value, grows);
    }
  }

  arrive({ streamId, sequence, payload }: BlockRecord): void {
    const last = this.lastOnDisk.get(streamId) ?? 0;
    if (sequence !== last + 1) throw new Error(`sequence ${sequence} follows ${last}`);
    this.lastOnDisk.set(streamId, sequence);
    const known = this.states.get(markerOf(payload));
    if (known !== undefined) this.newestOnDisk.set(known.state, known.age);
  }

  leave(marker: string, mayBeShed: boolean, grows: boolean): void {
    if (this.acknowledged.has(marker) || this.buried.has(marker)) return;
    const limitMs = this.expiresAfterMs.get(marker) ?? 0;
    if (limitMs > 0 && this.nowMs - (this.bornMs.get(marker) ?? 0) > limitMs) {
      this.expired.add(marker);
      return;
    }
    const known = this.states.get(marker);
    if (known !== undefined && (this.newestOnDisk.get(known.state) ?? 0) > known.age) {
      this.superseded.add(marker);
      return;
    }
    const mayShed = mayBeShed && this.options.evict !== "reject";
    if (!mayShed || !(grows || this.options.evict === "thin"))
      throw new Error(`${marker} vanishes`);
    this.shed.add(marker);
  }

  append({ stream, priority, bytes, expiresAfterMs, key }: Extract<Step, { do: "append" }>): void {
    const marker = `m${++this.made}`;
    this.bornMs.set(marker, this.nowMs);
    this.expiresAfterMs.set(marker, expiresAfterMs);
    if (key !== undefined)
      this.states.set(marker, { state: `${stream} ${key}`, age: this.states.size + 1 });
    const payload = Buffer.from(`${marker};`.padEnd(bytes, "."));
    const draft = { stream, priority, payload, contentType: "text/plain", expiresAfterMs, key };
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
    const id = update.id;
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
    const { lost } = this.outbox.status();
    if (lost > 0) throw new Error(`${lost} updates were lost`);
    this.compareWithDisk("in the end");
    const letters = await this.await(this.outbox.listDeadLetters({ limit: 10_000 }));
    const dead = new Set(letters.deadLetters.map(({ payload }) => markerOf(payload)));
    for (const marker of this.thanked) {
      const fate = [this.acknowledged, dead, this.shed, this.expired, this.superseded].some((set) =>
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

const keyed = (stream: "a" | "c", times: 1 | 5): Step => ({
  do: "append",
  stream,
  priority: 2,
  key: "on",
  bytes: 20,
  expiresAfterMs: 0,
  times,
});

/** A state's newest update is written while the receiver acknowledges the one before; then the power fails. */
const newestWrittenWhileOldLeaves: Step[] = [
  keyed("c", 1),
  { do: "wait", ms: 60 },
  keyed("c", 5),
  { do: "lease", limit: 1 },
  keyed("a", 1),
  { do: "acknowledge", at: 0, times: 1 },
  { do: "wait", ms: 1_000 },
  { do: "lease", limit: 1 },
  { do: "wait", ms: 3 },
  { do: "power-cut" },
];

const some = (stream: "a" | "c", priority: 2 | 5, bytes: 20 | 200, times: 1 | 12): Step => ({
  do: "append",
  stream,
  priority,
  key: undefined,
  bytes,
  expiresAfterMs: 0,
  times,
});

/** A lease has some of one priority and waits for the disk to read another, while the books are read back after a failed write. */
const booksReadBackWithinALease: Step[] = [
  { do: "restart" },
  some("a", 2, 20, 1),
  some("c", 5, 20, 12),
  { do: "restart" },
  { do: "wait", ms: 1_000 },
  { do: "restart" },
  { do: "disk-full" },
  { do: "wait", ms: 31_000 },
  some("c", 2, 200, 12),
  { do: "lease", limit: 1 },
  { do: "wait", ms: 60 },
  { do: "disk-freed" },
  { do: "wait", ms: 3 },
  { do: "lease", limit: 1 },
  some("a", 2, 20, 1),
  { do: "lease", limit: 5 },
  { do: "lease", limit: 1 },
  { do: "lease", limit: 6 },
  { do: "wait", ms: 1_000 },
  { do: "lease", limit: 1 },
];

for (const evict of ["drop-oldest", "drop-lowest-priority", "thin", "reject"] as const)
  t.test(`whatever happens, nothing that was thanked for is lost (${evict})`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 120, size: "max" }),
        fc.constantFrom(0, 0, 5),
        fc.boolean(),
        async (steps, commitLingerMs, compress) => {
          const trial = new Trial(evict, commitLingerMs, compress);
          await trial.open();
          for (const step of steps) await trial.run(step);
          await trial.finish();
        },
      ),
      {
        examples: [
          [newestWrittenWhileOldLeaves, 0, false],
          [booksReadBackWithinALease, 0, false],
        ],
      },
    );
    t.pass("held");
  });
