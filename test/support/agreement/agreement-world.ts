import { Agreement } from "../../../src/consensus/agreement/agreement.ts";
import {
  type AgreementOptions,
  defaultAgreementOptions,
} from "../../../src/consensus/agreement/options.ts";
import type {
  Beginning,
  GroupChannel,
  Ordering,
  OrderingParts,
  OrderingProtocol,
} from "../../../src/consensus/ordering/ordering.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../../src/platform/signer.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { DeviceClock, ProcessClock } from "../../../src/simulator/device-clock.ts";
import { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

const GROUP = "0102030405060708090a0b0c0d0e0f10";
const STEP_MS = 10;
const WAIT_MS = 120_000;

/** How the members of a world put values into one order. */
export interface OrderingUnderTest {
  readonly protocol: OrderingProtocol;
  /** Opens a member. @param isConnected whether a peer is with most of the others, for who has no network of its own */
  open(parts: OrderingParts, isConnected: (peer: PeerId) => boolean): Promise<Ordering>;
}

/** What is told to an agreement whenever its process begins. */
export type Configure = (agreement: Agreement, name: string) => void;

interface Process {
  readonly clock: ProcessClock;
  readonly store: SimulatedStore;
  agreement: Agreement | undefined;
  take: ((from: PeerId, bytes: Uint8Array) => void) | undefined;
}

interface Device {
  readonly name: string;
  readonly signer: Signer;
  readonly disk: VirtualDisk;
  readonly clock: DeviceClock;
  starts: number;
  process: Process | undefined;
}

/** Members of one group in virtual time, each with its disk, its process and its part in the agreement. */
export class AgreementWorld {
  readonly group = GROUP;
  readonly protocol: OrderingProtocol;
  readonly clock = new VirtualClock();
  readonly keys = new VirtualKeys();
  readonly founders: readonly string[];
  configure: Configure = () => undefined;
  options: AgreementOptions = defaultAgreementOptions;
  readonly #under: OrderingUnderTest;
  readonly #random: SeededRandom;
  readonly #devices = new Map<string, Device>();
  readonly #names = new Map<PeerId, string>();
  #cutOff: ReadonlySet<string> = new Set();

  constructor(under: OrderingUnderTest, seed: string, founders: number) {
    this.protocol = under.protocol;
    this.#under = under;
    this.#random = new SeededRandom(seed);
    this.founders = ["a", "b", "c", "d", "e", "f", "g"].slice(0, founders);
    for (const name of this.founders) this.#device(name);
  }

  /** Founds the group, and waits until somebody leads it. */
  async found(configure: Configure): Promise<void> {
    this.configure = configure;
    const members = this.founders.map((name) => this.peer(name));
    await Promise.all(this.founders.map((name) => this.#begin(name, { kind: "found", members })));
    await this.until("the group is founded", () =>
      this.running.every((name) => this.at(name).members().epoch === 1),
    );
  }

  /** Names of those that run, sorted. */
  get running(): readonly string[] {
    return [...this.#devices.values()]
      .filter(({ process }) => process?.agreement !== undefined)
      .map(({ name }) => name)
      .sort();
  }

  peer(name: string): PeerId {
    return this.signer(name).peerId;
  }

  signer(name: string): Signer {
    return this.#device(name).signer;
  }

  /** The agreement of a member that runs. */
  at(name: string): Agreement {
    const agreement = this.#device(name).process?.agreement;
    if (agreement === undefined) throw new Error(`${name} does not run`);
    return agreement;
  }

  /** Who leads, as far as those that run can tell; the first one where nobody does. */
  leader(): string {
    const leaders = this.running.map((name) => this.at(name).ordering.status().leader);
    const leader = leaders.find((peer) => peer !== undefined);
    return (leader && this.#names.get(leader)) ?? this.running[0] ?? "";
  }

  /** It was there before. */
  async start(name: string): Promise<void> {
    await this.#begin(name, { kind: "resume" });
  }

  async stop(name: string): Promise<void> {
    const { process } = this.#device(name);
    await this.wait(process?.agreement?.stop() ?? Promise.resolve());
    this.crash(name, false);
  }

  /** The process is gone; with a power loss, so is what was not synced. */
  crash(name: string, powerLost: boolean): void {
    const device = this.#device(name);
    const { process } = device;
    device.process = undefined;
    process?.clock.end();
    process?.store.die(powerLost);
    process?.agreement?.stop().catch(() => undefined);
  }

  /** Nothing reaches these any more, and nothing comes from them. */
  cutOff(...names: readonly string[]): void {
    this.#cutOff = new Set(names);
  }

  /** One more member. */
  async add(by: string, name: string): Promise<void> {
    const peer = this.peer(name);
    const { ordering } = this.at(by);
    const ticket = ordering.ticket(peer);
    await this.#begin(name, { kind: "join", ticket });
    await this.wait(ordering.change({ kind: "add", peer, ticket }, { timeoutMs: 60_000 }));
  }

  async remove(by: string, name: string): Promise<void> {
    const step = { kind: "remove", peer: this.peer(name) } as const;
    await this.wait(this.at(by).ordering.change(step, { timeoutMs: 60_000 }));
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Lets time go by until the promise has settled. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const state = { done: false };
    const end = (): void => {
      state.done = true;
    };
    promise.then(end, end);
    await this.clock.advance(0);
    for (let waited = 0; !state.done && waited < WAIT_MS; waited += STEP_MS)
      await this.clock.advance(STEP_MS);
    if (!state.done) throw new Error(`nothing came of it within ${WAIT_MS} ms`);
    return promise;
  }

  /** Lets time go by until it holds. @throws Error when that takes too long */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    for (let waited = 0; !holds(); waited += STEP_MS) {
      if (waited > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
      await this.clock.advance(STEP_MS);
    }
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    for (const name of this.running) await this.stop(name);
  }

  #device(name: string): Device {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    const device: Device = {
      name,
      signer: this.keys.signer(name),
      disk: new VirtualDisk(),
      clock: new DeviceClock(this.clock),
      starts: 0,
      process: undefined,
    };
    this.#devices.set(name, device);
    this.#names.set(device.signer.peerId, name);
    return device;
  }

  async #begin(name: string, beginning: Beginning): Promise<void> {
    const device = this.#device(name);
    const { signer } = device;
    const clock = new ProcessClock(device.clock, () => undefined);
    const random = this.#random.fork(`${name}/${++device.starts}`);
    const store = new SimulatedStore(device.disk, {
      clock,
      random: random.fork("disk"),
      manners: { syncMs: [1, 4], writeFailureRate: 0 },
      generation: 0,
      repairs: [],
    });
    const process: Process = { clock, store, agreement: undefined, take: undefined };
    device.process = process;
    const common = { group: GROUP, signer, store, clock, random, hasher: nodeHasher };
    const opened = Agreement.open({
      ...common,
      protocol: this.protocol,
      logger: silentLogger,
      options: this.options,
      ordering: (machine) =>
        this.#under.open(
          {
            ...common,
            beginning,
            machine,
            logger: silentLogger,
            channel: this.#channel(name, process),
            onChange: () => undefined,
            onLost: (error) => {
              throw error;
            },
          },
          (peer) => !this.#cutOff.has(this.#names.get(peer) ?? ""),
        ),
    });
    const agreement = await this.wait(opened);
    if (device.process !== process) return;
    process.agreement = agreement;
    this.configure(agreement, name);
    agreement.start();
  }

  #channel(name: string, process: Process): GroupChannel {
    return {
      listen: (take) => {
        process.take = take;
      },
      send: (to, bytes) => {
        const copy = bytes.slice();
        const target = this.#names.get(to) ?? "";
        this.clock.setTimer("message", 1 + this.#random.next() * 4, () => {
          if (this.#cutOff.has(name) !== this.#cutOff.has(target)) return;
          this.#devices.get(target)?.process?.take?.(this.peer(name), copy);
        });
        return Promise.resolve();
      },
      offence: (from, kind) => {
        throw new Error(`${this.#names.get(from)} is held to be guilty of ${kind}`);
      },
      close: () => {
        process.take = undefined;
      },
    };
  }
}
