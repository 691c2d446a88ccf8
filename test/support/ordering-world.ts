import type {
  Beginning,
  Ordered,
  Ordering,
  OrderingParts,
} from "../../src/consensus/ordering/ordering.ts";
import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { DeviceClock, ProcessClock } from "../../src/simulator/device-clock.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { type DiskManners, SimulatedStore } from "../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

const GROUP = "0102030405060708090a0b0c0d0e0f10";
const STEP_MS = 20;
const WAIT_MS = 600_000;

/** Remembers every value in its order, and who voted when; answers with how many there were. */
export class Journal implements StateMachine {
  values: string[] = [];
  voters: readonly string[] = [];
  /** How often it was told who votes. */
  changes = 0;

  members(voters: readonly string[]): void {
    this.voters = voters;
    this.changes++;
  }

  apply(value: Uint8Array): Uint8Array {
    this.values.push(Buffer.from(value).toString());
    return Buffer.from(String(this.values.length));
  }

  snapshot(): Uint8Array {
    const { values, voters, changes } = this;
    return Buffer.from(JSON.stringify({ values, voters, changes }));
  }

  restore(state: Uint8Array): void {
    const nothing = { values: [], voters: [], changes: 0 };
    Object.assign(this, state.length === 0 ? nothing : JSON.parse(Buffer.from(state).toString()));
  }
}

interface Process {
  readonly clock: ProcessClock;
  readonly store: SimulatedStore;
  readonly journal: Journal;
  ordering?: Ordering;
  listener?: (from: PeerId, bytes: Uint8Array) => void;
}

/** A device with a member on it; its disk outlives the process. */
export interface Device {
  readonly id: number;
  readonly signer: Signer;
  readonly beginning: Beginning;
  readonly clock: DeviceClock;
  readonly manners: { syncMs: readonly [number, number]; writeFailureRate: number } & DiskManners;
  disk: VirtualDisk;
  starts: number;
  process: Process | undefined;
}

/** What a world is made of. */
export interface OrderingWorldParts {
  readonly seed: string;
  /** The first members: 1 to this. */
  readonly founders: number;
  readonly open: (parts: OrderingParts) => Promise<Ordering>;
}

/**
 * Members of one group in virtual time, whatever protocol they speak: over links that delay, lose and double, but keep
 * the order of what they do not lose, and on disks that take their time.
 */
export class OrderingWorld {
  readonly clock = new VirtualClock();
  readonly devices = new Map<number, Device>();
  /** Members that said that their disk lost something. */
  readonly lost = new Set<number>();
  readonly offences: string[] = [];
  lossRate = 0;
  duplicateRate = 0;
  latencyMsMax = 10;
  severed: (from: number, to: number) => boolean = () => false;
  readonly #parts: OrderingWorldParts;
  readonly #keys = new VirtualKeys();
  readonly #random: Random;
  readonly #arrivesAtMs = new Map<string, number>();

  constructor(parts: OrderingWorldParts) {
    this.#parts = parts;
    this.#random = new SeededRandom(parts.seed);
  }

  /** A world whose founders run, and have decided a first value. */
  static async founded(parts: OrderingWorldParts): Promise<OrderingWorld> {
    const world = new OrderingWorld(parts);
    const ids = Array.from({ length: parts.founders }, (_, at) => at + 1);
    const members = ids.map((id) => world.signer(id).peerId);
    for (const id of ids) world.place(id, { kind: "found", members });
    for (const id of ids) await world.start(id);
    await world.submit(1, "first");
    return world;
  }

  get running(): readonly number[] {
    return [...this.devices.values()]
      .filter(({ process }) => process?.ordering)
      .map(({ id }) => id);
  }

  signer(id: number): Signer {
    return this.#keys.signer(`device ${id}`);
  }

  peer(id: number): PeerId {
    return this.signer(id).peerId;
  }

  /** Puts a device there that does not run yet. */
  place(id: number, beginning: Beginning): void {
    this.devices.set(id, {
      id,
      signer: this.signer(id),
      beginning,
      clock: new DeviceClock(this.clock),
      manners: { syncMs: [1, 8], writeFailureRate: 0 },
      disk: new VirtualDisk(),
      // A device that is set up anew draws something else.
      starts: this.devices.get(id)?.starts ?? 0,
      process: undefined,
    });
  }

  /** Starts a member: the first time as it begins, then with what it has. @throws what opening it throws */
  async start(id: number): Promise<void> {
    const device = this.device(id);
    if (device.process !== undefined) return;
    const clock = new ProcessClock(device.clock, () => undefined);
    const random = this.#random.fork(`${id}/${++device.starts}`);
    const { manners, disk, signer } = device;
    const store = new SimulatedStore(disk, {
      clock,
      random: random.fork("disk"),
      manners,
      generation: 0,
      repairs: [],
    });
    const process: Process = { clock, store, journal: new Journal() };
    device.process = process;
    const isNew = disk.bytes === 0;
    const opening = this.#parts.open({
      group: GROUP,
      beginning: isNew ? device.beginning : { kind: "resume" },
      machine: process.journal,
      channel: {
        listen: (take) => {
          process.listener = take;
        },
        send: (to, bytes) => this.#send(id, this.#idOf(to), bytes),
        offence: (from, kind) => void this.offences.push(`${from} ${kind}`),
        close: () => {
          delete process.listener;
        },
      },
      signer,
      store,
      clock,
      random,
      hasher: nodeHasher,
      logger: silentLogger,
      onChange: () => undefined,
      onLost: () => void this.lost.add(id),
    });
    try {
      process.ordering = await this.wait(opening);
    } catch (error) {
      device.process = undefined;
      throw error;
    }
    process.ordering.start();
  }

  /** The process is gone; with a power cut, so is what was not synced. */
  crash(id: number, powerLost: boolean): void {
    const device = this.device(id);
    device.process?.clock.end();
    device.process?.store.die(powerLost);
    void device.process?.ordering?.stop();
    device.process = undefined;
  }

  /** The device is set up anew, with an empty disk: it starts as it began. */
  wipe(id: number): void {
    this.crash(id, true);
    this.device(id).disk = new VirtualDisk();
  }

  device(id: number): Device {
    const device = this.devices.get(id);
    if (device === undefined) throw new Error(`no device ${id}`);
    return device;
  }

  ordering(id: number): Ordering {
    const ordering = this.device(id).process?.ordering;
    if (ordering === undefined) throw new Error(`member ${id} does not run`);
    return ordering;
  }

  journal(id: number): Journal {
    const journal = this.device(id).process?.journal;
    if (journal === undefined) throw new Error(`member ${id} does not run`);
    return journal;
  }

  /** @returns who leads, as far as those that run agree; 0 for nobody */
  leader(): number {
    const leaders = new Set(
      this.running
        .filter((id) => !["left", "lost"].includes(this.ordering(id).status().standing))
        .map((id) => this.ordering(id).status().leader),
    );
    const [leader] = leaders;
    return leaders.size === 1 && leader !== undefined ? this.#idOf(leader) : 0;
  }

  /** Cuts some off from all others. */
  isolate(...ids: readonly number[]): void {
    const alone = new Set(ids);
    this.severed = (from, to) => alone.has(from) !== alone.has(to);
  }

  heal(): void {
    this.severed = () => false;
    this.lossRate = 0;
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Lets time go by until it holds. @throws Error when that takes too long */
  async until(what: string, holds: () => boolean, withinMs = 120_000): Promise<void> {
    for (let waitedMs = 0; !holds(); waitedMs += STEP_MS) {
      if (waitedMs > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
      await this.clock.advance(STEP_MS);
    }
  }

  /** Until all that run and belong to the group have applied the same, and as much as this. */
  async agreed(count: number): Promise<readonly string[]> {
    const ids = this.running.filter((id) => this.ordering(id).status().standing !== "left");
    await this.until("all have it", () =>
      ids.every((id) => this.journal(id).values.length >= count),
    );
    const [first = 0] = ids;
    return this.journal(first).values;
  }

  /** Lets time go by until the promise has settled. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const state = { settled: false };
    const settle = (): void => {
      state.settled = true;
    };
    promise.then(settle, settle);
    for (let waitedMs = 0; !state.settled && waitedMs < WAIT_MS; waitedMs += STEP_MS)
      await this.clock.advance(STEP_MS);
    if (!state.settled) throw new Error(`nothing came of it within ${WAIT_MS} ms`);
    return promise;
  }

  submit(by: number, value: string, timeoutMs = 60_000, id?: Uint8Array): Promise<Ordered> {
    return this.wait(this.ordering(by).submit(Buffer.from(value), { timeoutMs }, id));
  }

  read(by: number, timeoutMs = 60_000): Promise<void> {
    return this.wait(this.ordering(by).read({ timeoutMs }));
  }

  /** A device of its own begins with a ticket, and is added. */
  async add(by: number, id: number, timeoutMs = 120_000): Promise<void> {
    const peer = this.peer(id);
    const ticket = this.ordering(by).ticket(peer);
    this.place(id, { kind: "join", ticket });
    await this.start(id);
    await this.wait(this.ordering(by).change({ kind: "add", peer, ticket }, { timeoutMs }));
  }

  remove(by: number, id: number, timeoutMs = 120_000): Promise<void> {
    const step = { kind: "remove" as const, peer: this.peer(id) };
    return this.wait(this.ordering(by).change(step, { timeoutMs }));
  }

  /** Says something to a member in the name of another, as the network has vouched for. */
  say(from: PeerId, to: number, bytes: Uint8Array): void {
    this.device(to).process?.listener?.(from, bytes);
  }

  #idOf(peer: PeerId): number {
    for (const { id, signer } of this.devices.values()) if (signer.peerId === peer) return id;
    return 0;
  }

  #send(from: number, to: number, bytes: Uint8Array): Promise<void> {
    if (this.severed(from, to)) return Promise.resolve();
    const copy = Uint8Array.from(bytes);
    const copies = this.#random.next() < this.duplicateRate ? 2 : 1;
    for (let sent = 0; sent < copies; sent++) {
      if (this.#random.next() < this.lossRate) continue;
      const link = `${from} ${to}`;
      const nowMs = this.clock.monotonicMs();
      const earliestMs = nowMs + 1 + this.#random.next() * this.latencyMsMax;
      const atMs = Math.max(earliestMs, this.#arrivesAtMs.get(link) ?? 0);
      this.#arrivesAtMs.set(link, atMs);
      this.clock.setTimer("message", atMs - nowMs, () => {
        if (this.severed(from, to)) return;
        this.devices.get(to)?.process?.listener?.(this.peer(from), copy);
      });
    }
    return Promise.resolve();
  }
}
