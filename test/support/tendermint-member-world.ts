import type { Ordered, Ordering, OrderingParts } from "../../src/consensus/ordering/ordering.ts";
import type { StateMachine } from "../../src/consensus/ordering/state-machine.ts";
import type { ProposalMessage } from "../../src/consensus/tendermint/messages.ts";
import { split } from "../../src/consensus/tendermint/parts.ts";
import { signProposal, signVote } from "../../src/consensus/tendermint/signing.ts";
import type { SignedVote } from "../../src/consensus/tendermint/vote.ts";
import { decodeBlock, encodeBlock } from "../../src/consensus/tendermint-member/block.ts";
import type { TendermintMember } from "../../src/consensus/tendermint-member/member.ts";
import {
  decodeMessage,
  encodeMessage,
} from "../../src/consensus/tendermint-member/message-codec.ts";
import type { GroupMessage } from "../../src/consensus/tendermint-member/messages.ts";
import { openTendermintOrdering } from "../../src/consensus/tendermint-member/open.ts";
import {
  defaultTendermintMemberOptions,
  type TendermintMemberOptions,
} from "../../src/consensus/tendermint-member/options.ts";
import { StoreError } from "../../src/platform/key-value-store.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { DeviceClock, ProcessClock } from "../../src/simulator/device-clock.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { plainHasher } from "../../src/simulator/plain-hasher.ts";
import { SimulatedStore } from "../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

export const GROUP = "0102030405060708090a0b0c0d0e0f10";
const WAIT_MS = 240_000;

/** Remembers every value it was given, in order, and who the members were. */
export class Journal implements StateMachine {
  values: string[] = [];
  readonly memberships: (readonly PeerId[])[] = [];

  members(voters: readonly PeerId[]): void {
    this.memberships.push(voters);
  }

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

/**
 * What a member does with what it says: `equivocating` says something else to some; `silent` never proposes; `lying`
 * proposes blocks that stand on a state that nobody has.
 */
export type Manner = "honest" | "equivocating" | "silent" | "lying";

interface Process {
  readonly clock: ProcessClock;
  readonly store: SimulatedStore;
  readonly journal: Journal;
  member: TendermintMember | undefined;
  listen: ((from: PeerId, bytes: Uint8Array) => void) | undefined;
}

/** A device with a member on it; its disk outlives the process. */
export interface Device {
  readonly number: number;
  readonly signer: Signer;
  readonly clock: DeviceClock;
  disk: VirtualDisk;
  manner: Manner;
  starts: number;
  generation: number;
  beginning: OrderingParts["beginning"];
  process: Process | undefined;
}

/** Members of one group in virtual time, over a network that delays, loses and doubles what they say. */
export class TendermintMemberWorld {
  readonly clock = new VirtualClock();
  readonly devices = new Map<number, Device>();
  readonly lost: number[] = [];
  /** Offences that were counted, by kind. */
  readonly offences = new Map<string, number>();
  lossRate = 0;
  duplicateRate = 0;
  latencyMs: readonly [number, number] = [1, 10];
  syncMs: readonly [number, number] = [1, 8];
  writeFailureRate = 0;
  messages = 0;
  severed: (from: number, to: number) => boolean = () => false;
  readonly #random: Random;
  readonly #options: TendermintMemberOptions;
  readonly #keys = new VirtualKeys();
  readonly #numbers = new Map<PeerId, number>();
  readonly #seed: string;

  constructor(seed: string, options: Partial<TendermintMemberOptions> = {}) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    this.#options = { ...defaultTendermintMemberOptions, ...options };
  }

  /** Founds a group of the first devices. */
  async found(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    for (const number of numbers) this.#device(number);
    const members = numbers.map((number) => this.peer(number));
    for (const number of numbers) {
      this.device(number).beginning = { kind: "found", members };
      await this.start(number);
    }
  }

  /** Begins a member with a ticket that another gave, and has it added. */
  async join(number: number, by: number, timeoutMs = 60_000): Promise<void> {
    const { ticket } = await this.begin(number, by);
    const step = { kind: "add", peer: this.peer(number), ticket } as const;
    await this.wait(this.member(by).change(step, { timeoutMs }));
    await this.until("it knows that it is a member", () =>
      ["leading", "following"].includes(this.member(number).status().standing),
    );
  }

  /** Begins a member with a ticket, to be added later. */
  async begin(number: number, by: number): Promise<{ readonly ticket: Uint8Array }> {
    const device = this.#device(number);
    const ticket = this.member(by).ticket(device.signer.peerId);
    this.crash(number, false);
    device.beginning = { kind: "join", ticket };
    device.disk = new VirtualDisk();
    device.starts = 0;
    await this.start(number);
    return { ticket };
  }

  async remove(number: number, by: number, timeoutMs = 60_000): Promise<void> {
    const step = { kind: "remove", peer: this.peer(number) } as const;
    await this.wait(this.member(by).change(step, { timeoutMs }));
  }

  async start(number: number): Promise<void> {
    const device = this.device(number);
    if (device.process !== undefined) return;
    const clock = new ProcessClock(device.clock, () => undefined);
    const random = this.#random.fork(`${number}/${++device.starts}`);
    const store = new SimulatedStore(device.disk, {
      clock,
      random: random.fork("disk"),
      manners: { syncMs: this.syncMs, writeFailureRate: this.writeFailureRate },
      generation: device.generation,
      repairs: [],
    });
    const journal = new Journal();
    const process: Process = { clock, store, journal, member: undefined, listen: undefined };
    device.process = process;
    const parts: OrderingParts = {
      group: GROUP,
      // A beginning that did not come to its end is made again.
      beginning:
        device.disk.range({ gte: "c/", lt: "c~", limit: 1 }).length > 0
          ? { kind: "resume" }
          : device.beginning,
      machine: journal,
      channel: {
        listen: (take) => {
          process.listen = take;
        },
        send: (to, bytes) => this.#speak(device, to, bytes),
        offence: (_, kind) => this.offences.set(kind, (this.offences.get(kind) ?? 0) + 1),
        close: () => {
          process.listen = undefined;
        },
      },
      signer: device.signer,
      store,
      clock,
      random,
      hasher: plainHasher,
      logger: silentLogger,
      onChange: () => undefined,
      onLost: () => this.lost.push(number),
    };
    const state = { done: false };
    const opening = openTendermintOrdering(parts, this.#options).finally(() => {
      state.done = true;
    });
    opening.catch(() => undefined);
    // The process may end before it is open: then it never is.
    for (let waited = 0; !state.done && device.process === process; waited += 5) {
      if (waited > WAIT_MS) throw new Error("the log was not opened");
      await this.clock.advance(5);
    }
    if (device.process !== process) return;
    try {
      process.member = await opening;
    } catch (error) {
      // Its disk fails: whoever starts it does so again.
      if (!(error instanceof StoreError)) throw error;
      this.crash(number, false);
      return;
    }
    process.member.start();
  }

  /** The process is gone; with a power loss, so is what was not synced. */
  crash(number: number, powerLost: boolean): void {
    const device = this.device(number);
    device.process?.clock.end();
    device.process?.store.die(powerLost);
    void device.process?.member?.stop();
    device.process = undefined;
  }

  device(number: number): Device {
    const device = this.devices.get(number);
    if (device === undefined) throw new Error(`no device ${number}`);
    return device;
  }

  peer(number: number): PeerId {
    return this.device(number).signer.peerId;
  }

  mannerOf(peer: PeerId): Manner {
    return this.device(this.#numbers.get(peer) ?? 0).manner;
  }

  running(number: number): TendermintMember | undefined {
    return this.devices.get(number)?.process?.member;
  }

  member(number: number): TendermintMember {
    const member = this.running(number);
    if (member === undefined) throw new Error(`member ${number} does not run`);
    return member;
  }

  journal(number: number): readonly string[] {
    return this.device(number).process?.journal.values ?? [];
  }

  /** @returns the number of whoever proposes at the moment, as a member knows it */
  leader(by: number): number {
    return this.#numbers.get(this.member(by).status().leader ?? "") ?? 0;
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Lets time go by until it holds. @throws Error when that takes too long */
  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    for (let waited = 0; !holds(); waited += 20) {
      if (waited > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
      await this.clock.advance(20);
    }
  }

  /** Puts a value in and lets time go by until that has ended. */
  async submit(by: number, value: string, timeoutMs = 20_000, id?: Uint8Array): Promise<Ordered> {
    return this.wait(this.member(by).submit(Buffer.from(value), { timeoutMs }, id));
  }

  async read(by: number, timeoutMs = 20_000): Promise<void> {
    const reading: Pick<Ordering, "read"> = this.member(by);
    await this.wait(reading.read({ timeoutMs }));
  }

  /** A peer says that to another one. */
  say(from: number, to: number, message: GroupMessage): void {
    this.#deliver(from, to, encodeMessage(message));
  }

  async wait<T>(promise: Promise<T>): Promise<T> {
    const state = { done: false };
    const end = (): void => {
      state.done = true;
    };
    promise.then(end, end);
    for (let waited = 0; !state.done && waited < WAIT_MS; waited += 10)
      await this.clock.advance(10);
    return promise;
  }

  #device(number: number): Device {
    const known = this.devices.get(number);
    if (known !== undefined) return known;
    const device: Device = {
      number,
      signer: this.#keys.signer(`${this.#seed}/${number}`),
      disk: new VirtualDisk(),
      clock: new DeviceClock(this.clock),
      manner: "honest",
      starts: 0,
      generation: 0,
      beginning: { kind: "resume" },
      process: undefined,
    };
    this.devices.set(number, device);
    this.#numbers.set(device.signer.peerId, number);
    return device;
  }

  #speak(device: Device, to: PeerId, bytes: Uint8Array): Promise<void> {
    const number = this.#numbers.get(to);
    if (number === undefined) return Promise.reject(new Error("unreachable"));
    for (const said of this.#mannered(device, number, bytes))
      this.#deliver(device.number, number, said);
    return Promise.resolve();
  }

  #mannered(device: Device, to: number, bytes: Uint8Array): Uint8Array[] {
    if (device.manner === "honest") return [bytes];
    const said = decodeMessage(bytes);
    if (said?.kind !== "core") return [bytes];
    const { message } = said;
    if (device.manner === "silent")
      return message.kind === "proposal" || message.kind === "part" ? [] : [bytes];
    if (device.manner === "lying")
      return message.kind === "proposal" ? [this.#falseBlock(device, message)] : [bytes];
    if (message.kind !== "votes") return [bytes];
    const votes = message.votes.map((vote) => this.#otherVote(device, vote));
    const lie = encodeMessage({ kind: "core", message: { kind: "votes", votes } });
    // One thing to some, another to others, both to a few.
    if ((to + device.number) % 2 === 0) return [lie];
    return this.#random.next() < 0.3 ? [bytes, lie] : [bytes];
  }

  #otherVote({ signer }: Device, vote: SignedVote): SignedVote {
    if (vote.validator !== signer.peerId) return vote;
    const valueId = vote.valueId === null ? "5a".repeat(32) : null;
    return signVote(signer, GROUP, { ...vote, valueId });
  }

  #falseBlock({ signer }: Device, message: ProposalMessage): Uint8Array {
    const { proposal, value } = message;
    const block = value && decodeBlock(value, this.#options);
    if (block === undefined || proposal.proposer !== signer.peerId)
      return encodeMessage({ kind: "core", message });
    const basis = { ...block.basis, head: "5a".repeat(32) };
    const lie = encodeBlock({ ...block, basis });
    const { valueId, manifest } = split(lie, this.#options.tendermint.partBytes, plainHasher);
    return encodeMessage({
      kind: "core",
      message: {
        ...message,
        proposal: signProposal(signer, GROUP, { ...proposal, valueId }),
        manifest,
        value: lie,
      },
    });
  }

  #deliver(from: number, to: number, bytes: Uint8Array): void {
    if (this.severed(from, to)) return;
    this.messages++;
    const [least, most] = this.latencyMs;
    const copies = this.#random.next() < this.duplicateRate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.next() < this.lossRate) continue;
      this.clock.setTimer("message", least + this.#random.next() * (most - least), () => {
        if (!this.severed(from, to))
          this.devices.get(to)?.process?.listen?.(this.peer(from), bytes);
      });
    }
  }
}
