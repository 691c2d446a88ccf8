import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";
import type { ChangeStep } from "../../src/consensus/raft/change.ts";
import { foundLog } from "../../src/consensus/raft-member/founding.ts";
import { LogDisk } from "../../src/consensus/raft-member/log-disk.ts";
import { RaftMember } from "../../src/consensus/raft-member/member.ts";
import { decodeHeard, encodeMessage } from "../../src/consensus/raft-member/message-codec.ts";
import {
  defaultMemberOptions,
  type MemberOptions,
} from "../../src/consensus/raft-member/options.ts";
import type { Decided } from "../../src/consensus/raft-member/proposals.ts";
import type { Roster } from "../../src/consensus/raft-member/roster.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { DeviceClock, ProcessClock } from "../../src/simulator/device-clock.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { Faults } from "./consensus/faults.ts";

const WAIT_MS = 120_000;
const GROUP = "0102030405060708090a0b0c0d0e0f10";

/** Remembers every value it was given, in order. */
export class Journal implements StateMachine {
  values: string[] = [];

  members(): void {}

  apply(value: Uint8Array): Uint8Array {
    this.values.push(Buffer.from(value).toString());
    return Buffer.from(String(this.values.length));
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify(this.values));
  }

  restore(state: Uint8Array): void {
    this.values = state.length === 0 ? [] : (JSON.parse(Buffer.from(state).toString()) as string[]);
  }
}

/** A device with a member on it; its disk outlives the process. */
export interface Device {
  readonly id: number;
  readonly disk: VirtualDisk;
  readonly clock: DeviceClock;
  starts: number;
  process:
    | {
        readonly clock: ProcessClock;
        readonly store: SimulatedStore;
        member?: RaftMember;
        journal: Journal;
      }
    | undefined;
}

/** Members of one group in virtual time, over a network that delays, loses and doubles what they say. */
export class RaftMemberWorld {
  readonly clock = new VirtualClock();
  readonly devices = new Map<number, Device>();
  readonly lost: number[] = [];
  lossRate = 0;
  duplicateRate = 0;
  latencyMsMax = 10;
  syncMs: readonly [number, number] = [1, 8];
  writeFailureRate = 0;
  /** What members apply values to. */
  newJournal: (id: number) => Journal = () => new Journal();
  /** By which clock a member goes. */
  clockFor: (id: number, clock: Clock) => Clock = (_, clock) => clock;
  /** A message has arrived. */
  onArrival: (id: number) => void = () => undefined;
  readonly faults: Faults;
  severed: (from: number, to: number) => boolean = () => false;
  readonly #random: Random;
  readonly #options: MemberOptions;
  readonly #founders: readonly number[];

  constructor(
    seed: string,
    founders: readonly number[],
    options: Partial<MemberOptions> = {},
    faults = new Faults(),
  ) {
    this.faults = faults;
    this.#random = new SeededRandom(seed);
    this.#founders = founders;
    this.#options = { ...defaultMemberOptions, ...options };
  }

  /** Founds the group, or lets one more wait to be added. */
  async add(id: number): Promise<void> {
    const device = {
      id,
      disk: new VirtualDisk(),
      clock: new DeviceClock(this.clock),
      starts: 0,
      process: undefined,
    };
    this.devices.set(id, device);
    await this.start(id);
  }

  async start(id: number): Promise<void> {
    const device = this.device(id);
    if (device.process !== undefined) return;
    const clock = new ProcessClock(device.clock, () => undefined);
    const random = this.#random.fork(`${id}/${++device.starts}`);
    const store = new SimulatedStore(device.disk, {
      clock,
      random: random.fork("disk"),
      manners: this,
      generation: 0,
      repairs: [],
    });
    const journal = this.newJournal(id);
    const process: NonNullable<Device["process"]> = { clock, store, journal };
    device.process = process;
    const opening = device.starts === 1 ? this.#begin(device, store) : LogDisk.open(store, GROUP);
    const disk = await this.#wait(opening);
    if (device.process !== process) return;
    process.member = new RaftMember({
      disk,
      machine: journal,
      clock: this.clockFor(id, clock),
      random,
      logger: silentLogger,
      options: this.#options,
      send: (message) => this.#send(id, message.to, encodeMessage(id, message)),
      onChange: () => undefined,
      onTick: () => undefined,
      isWaiting: () => false,
      onLost: () => this.lost.push(id),
    });
    process.member.start();
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

  member(id: number): RaftMember {
    const member = this.device(id).process?.member;
    if (member === undefined) throw new Error(`member ${id} does not run`);
    return member;
  }

  journal(id: number): readonly string[] {
    return this.device(id).process?.journal.values ?? [];
  }

  /** @returns who leads, as far as those that run agree */
  leader(): number {
    const running = [...this.devices.values()].flatMap(({ process }) => process?.member ?? []);
    const leaders = new Set(running.map((member) => member.status().leader));
    return leaders.size === 1 ? ([...leaders][0] ?? 0) : 0;
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Lets time go by until it holds. @throws Error when that takes too long */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    for (let waited = 0; !holds(); waited += 50) {
      if (waited > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
      await this.clock.advance(50);
    }
  }

  /** Proposes and lets time go by until that has ended. */
  async propose(by: number, value: string, timeoutMs = 20_000): Promise<Decided> {
    return this.#wait(this.member(by).propose(Buffer.from(value), { timeoutMs }));
  }

  async change(
    by: number,
    steps: readonly ChangeStep[],
    added: readonly number[] = [],
  ): Promise<void> {
    await this.#wait(this.member(by).change(steps, rosterOf(added), { timeoutMs: 20_000 }));
  }

  async read(by: number, timeoutMs = 20_000): Promise<void> {
    await this.#wait(this.member(by).read({ timeoutMs }));
  }

  #begin({ id }: Device, store: SimulatedStore): Promise<LogDisk> {
    const identity = { number: id, log: id };
    if (!this.#founders.includes(id))
      return LogDisk.begin(store, GROUP, { ...identity, sponsors: new Map() });
    return foundLog(store, GROUP, identity, rosterOf(this.#founders), new Journal());
  }

  #send(from: number, to: number, bytes: Uint8Array): Promise<void> {
    if (this.severed(from, to)) return Promise.resolve();
    const isTwice = this.faults.happens("duplication", this.#random.next() < this.duplicateRate);
    for (let copy = 0; copy < (isTwice ? 2 : 1); copy++) {
      if (this.faults.happens("loss", this.#random.next() < this.lossRate)) continue;
      this.clock.setTimer("message", 1 + this.#random.next() * this.latencyMsMax, () => {
        const member = this.devices.get(to)?.process?.member;
        const heard = decodeHeard(bytes);
        if (member === undefined || this.severed(from, to)) return;
        if (heard?.kind === "message") member.take(heard.message);
        this.onArrival(to);
      });
    }
    return Promise.resolve();
  }

  async #wait<T>(promise: Promise<T>): Promise<T> {
    const state = { done: false };
    const end = (): void => {
      state.done = true;
    };
    promise.then(end, end);
    for (let waited = 0; !state.done && waited < WAIT_MS; waited += 20)
      await this.clock.advance(20);
    return promise;
  }
}

function rosterOf(ids: readonly number[]): Roster {
  return new Map(ids.map((id) => [id, { peer: `peer-${id}`, log: id }]));
}
