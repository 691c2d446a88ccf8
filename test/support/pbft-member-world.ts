import type { Beginning, Ordered } from "../../src/consensus/ordering/ordering.ts";
import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";
import { openPbftOrdering, type PbftOrdering } from "../../src/consensus/pbft-member/open.ts";
import {
  defaultPbftMemberOptions,
  type PbftMemberOptions,
} from "../../src/consensus/pbft-member/options.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { DeviceClock, ProcessClock } from "../../src/simulator/device-clock.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

export const GROUP = "0102030405060708090a0b0c0d0e0f10";
const WAIT_MS = 240_000;

/** Remembers every value it was given, in order, and who the members are. */
export class Journal implements StateMachine {
  values: string[] = [];
  voters: readonly string[] = [];

  members(voters: readonly string[]): void {
    this.voters = voters;
  }

  apply(value: Uint8Array): Uint8Array {
    this.values.push(Buffer.from(value).toString());
    return Buffer.from(String(this.values.length));
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify([this.voters, this.values]));
  }

  restore(state: Uint8Array): void {
    [this.voters, this.values] = JSON.parse(Buffer.from(state).toString());
  }
}

/** A device with a member on it; its disk outlives the process. */
export interface Device {
  readonly id: number;
  readonly signer: Signer;
  readonly disk: VirtualDisk;
  readonly clock: DeviceClock;
  readonly beginning: Beginning;
  starts: number;
  generation: number;
  isOpened: boolean;
  process:
    | {
        readonly clock: ProcessClock;
        readonly store: SimulatedStore;
        readonly journal: Journal;
        listener?: (from: PeerId, bytes: Uint8Array) => void;
        member?: PbftOrdering;
      }
    | undefined;
}

/** Members of one group in virtual time, over a network that delays, loses and doubles what they say. */
export class PbftMemberWorld {
  readonly clock = new VirtualClock();
  readonly keys = new VirtualKeys();
  readonly devices = new Map<number, Device>();
  readonly lost: number[] = [];
  readonly offences: { readonly by: number; readonly kind: string }[] = [];
  lossRate = 0;
  duplicateRate = 0;
  latencyMs: readonly [least: number, most: number] = [1, 10];
  syncMs: readonly [number, number] = [1, 8];
  writeFailureRate = 0;
  severed: (from: number, to: number) => boolean = () => false;
  /** What a member sends in the place of what it should; nothing keeps it from saying anything. */
  lies: (from: number, to: number, bytes: Uint8Array) => readonly Uint8Array[] = (
    _from,
    _to,
    bytes,
  ) => [bytes];
  readonly random: Random;
  readonly options: PbftMemberOptions;

  constructor(seed: string, options: Partial<PbftMemberOptions> = {}) {
    this.random = new SeededRandom(seed);
    this.options = { ...defaultPbftMemberOptions, ...options };
  }

  /** @returns who that device is */
  peer(id: number): PeerId {
    return this.keys.signer(`device-${id}`).peerId;
  }

  /** Founds the group on these devices. */
  async found(ids: readonly number[]): Promise<void> {
    const members = ids.map((id) => this.peer(id));
    for (const id of ids) this.place(id, { kind: "found", members });
    for (const id of ids) await this.start(id);
  }

  /** One more device, with a ticket from that member. */
  async join(id: number, by: number): Promise<Uint8Array> {
    const ticket = this.member(by).ticket(this.peer(id));
    this.place(id, { kind: "join", ticket });
    await this.start(id);
    return ticket;
  }

  place(id: number, beginning: Beginning): void {
    this.devices.set(id, {
      id,
      signer: this.keys.signer(`device-${id}`),
      disk: new VirtualDisk(),
      clock: new DeviceClock(this.clock),
      beginning,
      starts: 0,
      generation: 0,
      isOpened: false,
      process: undefined,
    });
  }

  async start(id: number): Promise<void> {
    const device = this.device(id);
    if (device.process !== undefined) return;
    const clock = new ProcessClock(device.clock, () => undefined);
    const random = this.random.fork(`${id}/${++device.starts}`);
    // Founding is not tried again: that is the business of whoever founds.
    const manners = { syncMs: this.syncMs, writeFailureRate: 0 };
    const store = new SimulatedStore(device.disk, {
      clock,
      random: random.fork("disk"),
      manners,
      generation: device.generation,
      repairs: [],
    });
    const process: NonNullable<Device["process"]> = { clock, store, journal: new Journal() };
    device.process = process;
    const opening = openPbftOrdering(
      {
        group: GROUP,
        beginning: device.isOpened ? { kind: "resume" } : device.beginning,
        machine: process.journal,
        channel: {
          listen: (take) => {
            process.listener = take;
          },
          send: (to, bytes) => this.#send(id, to, bytes),
          offence: (from, kind) => this.offences.push({ by: this.idOf(from), kind }),
          close: () => delete process.listener,
        },
        signer: device.signer,
        store,
        clock,
        random,
        hasher: nodeHasher,
        logger: silentLogger,
        onChange: () => undefined,
        onLost: () => this.lost.push(id),
      },
      this.options,
    );
    const member = await this.wait(opening);
    manners.writeFailureRate = this.writeFailureRate;
    if (device.process !== process) return;
    device.isOpened = true;
    process.member = member;
    member.start();
  }

  /** The process is gone; with a power loss, so is what was not synced. */
  crash(id: number, powerLost: boolean): void {
    const device = this.device(id);
    device.process?.clock.end();
    device.process?.store.die(powerLost);
    void device.process?.member?.stop();
    device.process = undefined;
  }

  device(id: number): Device {
    const device = this.devices.get(id);
    if (device === undefined) throw new Error(`no device ${id}`);
    return device;
  }

  idOf(peer: PeerId): number {
    for (const { id, signer } of this.devices.values()) if (signer.peerId === peer) return id;
    return -1;
  }

  member(id: number): PbftOrdering {
    const member = this.device(id).process?.member;
    if (member === undefined) throw new Error(`member ${id} does not run`);
    return member;
  }

  journal(id: number): readonly string[] {
    return this.device(id).process?.journal.values ?? [];
  }

  /** Who votes, as a member knows it. */
  voters(id: number): readonly number[] {
    return this.member(id)
      .status()
      .members.map((peer) => this.idOf(peer))
      .sort((left, right) => left - right);
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Lets time go by until it holds. @throws Error when that takes too long */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    for (let waited = 0; !holds(); waited += 50) {
      if (waited > withinMs)
        throw new Error(`${what}: not within ${withinMs} ms; ${this.describe()}`);
      await this.clock.advance(50);
    }
  }

  /** Puts a value in and lets time go by until that has ended. */
  submit(by: number, value: string, timeoutMs = 30_000, id?: Uint8Array): Promise<Ordered> {
    return this.wait(this.member(by).submit(Buffer.from(value), { timeoutMs }, id));
  }

  /** A device joins, and is added. */
  async add(id: number, by: number, timeoutMs = 60_000): Promise<void> {
    const ticket = await this.join(id, by);
    const step = { kind: "add" as const, peer: this.peer(id), ticket };
    await this.wait(this.member(by).change(step, { timeoutMs }));
  }

  remove(id: number, by: number, timeoutMs = 60_000): Promise<void> {
    const step = { kind: "remove" as const, peer: this.peer(id) };
    return this.wait(this.member(by).change(step, { timeoutMs }));
  }

  read(by: number, timeoutMs = 30_000): Promise<void> {
    return this.wait(this.member(by).read({ timeoutMs }));
  }

  /** Lets time go by until the promise has settled. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const state = { done: false };
    const end = (): void => {
      state.done = true;
    };
    promise.then(end, end);
    for (let waited = 0; !state.done && waited < WAIT_MS; waited += 20)
      await this.clock.advance(20);
    if (!state.done) throw new Error(`nothing came of it; ${this.describe()}`);
    return promise;
  }

  /** One line for a failed run. */
  describe(): string {
    return [...this.devices.values()]
      .map(({ id, process }) => {
        if (process?.member === undefined) return `${id}: down`;
        const { standing, term, position } = process.member.status();
        return `${id}: ${standing}, epoch ${Math.floor(term / 65_536)}, view ${(term % 65_536) - 1}, at ${position}, ${process.journal.values.length} values`;
      })
      .join("; ");
  }

  #send(from: number, peer: PeerId, bytes: Uint8Array): Promise<void> {
    const to = this.idOf(peer);
    if (to < 0) return Promise.reject(new Error("nobody is there"));
    const sender = this.device(from).signer.peerId;
    for (const said of this.lies(from, to, bytes)) {
      if (this.severed(from, to)) continue;
      const copies = this.random.next() < this.duplicateRate ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (this.random.next() < this.lossRate) continue;
        const [least, most] = this.latencyMs;
        const delayMs = least + (most - least) * this.random.next();
        this.clock.setTimer("message", delayMs, () => {
          if (!this.severed(from, to)) this.devices.get(to)?.process?.listener?.(sender, said);
        });
      }
    }
    return Promise.resolve();
  }
}
