import { requestSigner } from "../../../src/consensus/pbft/credentials.ts";
import type { PbftEffects, PbftInput, TimerName } from "../../../src/consensus/pbft/effects.ts";
import { decodeMessage, messageBytesMax } from "../../../src/consensus/pbft/messages.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import { PbftReplica } from "../../../src/consensus/pbft/replica.ts";
import { makeRequest, type Request } from "../../../src/consensus/pbft/request.ts";
import { VoteCheck } from "../../../src/consensus/pbft/vote.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import type { Random } from "../../../src/platform/random.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { EventHeap } from "../../../src/simulator/event-heap.ts";
import { type Fault, Faults } from "../consensus/faults.ts";
import { PbftInvariants } from "./invariants.ts";
import { type Application, Ledger } from "./ledger.ts";
import { Liar, type Lie } from "./liar.ts";
import { type Members, membersOf } from "./members.ts";
import { smallOptions } from "./small-options.ts";
import { WorldClient } from "./world-client.ts";

/** How bad the network and the disks are. */
export interface Weather {
  /** Of messages. */
  readonly loss: number;
  readonly duplicates: number;
  /** Messages take up to so long, each for itself, so that they overtake each other. */
  readonly delayMaxMs: number;
  readonly syncMaxMs: number;
  /** Chance that a write fails; it is made again. */
  readonly writeFailures?: number;
}

/** What a world is made of. */
export interface WorldParts {
  readonly seed: string | number;
  readonly size: number;
  readonly liars: ReadonlyMap<number, Lie>;
  readonly clients: number;
  /** Of each client. */
  readonly requests: number;
  readonly weather: Weather;
  readonly options?: Partial<PbftOptions>;
  readonly faults?: Faults;
  /** What requests are applied to; a ledger unless given. */
  readonly application?: () => Application;
  /** What a client asks for; some text unless given. */
  readonly operation?: (client: number, timestamp: number) => Uint8Array;
  /** A client has its answer. */
  readonly answered?: (client: number, timestamp: number, result: Uint8Array) => void;
  /** By how much the timers of each replica are longer or shorter; alike unless given. */
  readonly skews?: readonly number[];
  /** How much longer each replica takes for everything. */
  readonly slowness?: readonly number[];
}

/** After a write that failed. */
const RETRY_MS = 150;

const CALM: Weather = { loss: 0, duplicates: 0, delayMaxMs: 5, syncMaxMs: 2 };

interface Node {
  replica: PbftReplica | undefined;
  /** What is durable. */
  readonly disk: Map<string, Uint8Array>;
  ledger: Application;
  /** Effects that wait for the disk, in order. */
  waiting: { readonly effects: PbftEffects; readonly stable: number; isDurable: boolean }[];
  /** Grows with each crash, so that nothing of before comes after. */
  life: number;
  readonly timers: Map<TimerName, number>;
  readonly liar: Liar | undefined;
}

/**
 * Replicas, some of which lie, on a network that loses, repeats, reorders and splits, with disks that take their time: a
 * crash loses what was not synced. Everything comes from the seed. The invariants are looked at with every effect.
 */
export class PbftWorld {
  readonly members: Members;
  readonly invariants: PbftInvariants;
  readonly #options: PbftOptions;
  readonly #random: Random;
  readonly #events = new EventHeap<() => void>();
  readonly #nodes: readonly Node[];
  readonly #clients: readonly WorldClient[];
  #weather: Weather;
  readonly #parts: WorldParts;
  readonly faults: Faults;
  #isCut: (from: number, to: number) => boolean = () => false;
  #timerNumber = 0;
  /** Events so far. */
  events = 0;
  nowMs = 0;

  constructor(parts: WorldParts) {
    const { seed, size, liars, clients, requests, weather, options } = parts;
    this.#parts = parts;
    this.faults = parts.faults ?? new Faults();
    this.#options = { ...smallOptions, ...options };
    this.#random = new SeededRandom(seed);
    this.#weather = weather;
    this.members = membersOf(size);
    const { group, credentials } = this.members;
    const check = new VoteCheck(group, credentials[0]!, nodeHasher);
    this.invariants = new PbftInvariants(check, this.#options, new Set(liars.keys()));
    this.#nodes = credentials.map((credentials, index) => {
      const lie = liars.get(index);
      const random = this.#random.fork(`liar-${index}`);
      const liar =
        lie && new Liar({ lie, index, group, credentials, options: this.#options, random });
      return {
        replica: undefined,
        disk: new Map(),
        ledger: this.#application(),
        waiting: [],
        life: 0,
        timers: new Map(),
        liar,
      };
    });
    for (let index = 0; index < size; index++) this.start(index);
    this.#clients = Array.from(
      { length: clients },
      (_, index) =>
        new WorldClient(
          {
            weakQuorum: group.weakQuorum,
            make: (client, timestamp) => this.#request(client, timestamp),
            send: (request, to) => this.#ask(request, to),
            after: (delayMs, run) => this.#events.push(this.nowMs + delayMs, run),
            answered: (client, timestamp, result) => parts.answered?.(client, timestamp, result),
          },
          index,
          requests,
        ),
    );
    for (const client of this.#clients) client.start(0);
  }

  /** Every request of every client was answered. */
  get isDone(): boolean {
    return this.#clients.every((client) => client.isDone);
  }

  isUp(index: number): boolean {
    return this.#nodes[index]!.replica !== undefined;
  }

  replica(index: number): PbftReplica | undefined {
    return this.#nodes[index]!.replica;
  }

  /** Starts a replica with what its disk holds. */
  start(index: number): void {
    const node = this.#nodes[index]!;
    const { group, credentials } = this.members;
    node.replica = new PbftReplica({
      group,
      credentials: credentials[index]!,
      hasher: nodeHasher,
      options: this.#options,
      kept: node.disk,
    });
    node.ledger = this.#application();
    if (node.liar === undefined) this.invariants.started(index);
    this.#take(index, node.replica.start());
  }

  /** What is not on disk is lost, and was not said to anybody; some is on disk, and was not said either. */
  crash(index: number): void {
    const node = this.#nodes[index]!;
    const made = Math.floor(this.#random.next() * (node.waiting.length + 1));
    if (this.faults.happens("torn-write", made > 0)) {
      this.invariants.tore(index);
      for (const { effects } of node.waiting.slice(0, made)) this.#persist(node, effects);
    }
    node.replica = undefined;
    node.waiting = [];
    node.timers.clear();
    node.life++;
  }

  /** Messages go between replicas of one side only. */
  partition(side: (index: number) => number): void {
    this.#isCut = (from, to) => side(from) !== side(to);
  }

  /** These are not heard by the others, and hear them. */
  silence(ids: ReadonlySet<number>): void {
    this.#isCut = (from, to) => ids.has(from) && !ids.has(to);
  }

  /** Everybody is up, and the network does what it should. */
  heal(): void {
    this.#weather = CALM;
    this.#isCut = () => false;
    for (const index of this.#nodes.keys()) if (!this.isUp(index)) this.start(index);
  }

  /** Lets time go by. */
  run(forMs: number, isOver: () => boolean = () => false): void {
    const untilMs = this.nowMs + forMs;
    while (this.#events.nextMs <= untilMs) {
      this.nowMs = this.#events.nextMs;
      this.#events.pop()?.();
      this.events++;
      if (isOver()) return;
    }
    this.nowMs = untilMs;
  }

  #request(client: number, timestamp: number): Request {
    const signer = this.members.keys.signer(`client-${client}`);
    const operation =
      this.#parts.operation?.(client, timestamp) ?? Buffer.from(`${client} wants ${timestamp}`);
    const named = { client: signer.peerId, timestamp, operation };
    const request = makeRequest(this.members.group, named, requestSigner(signer));
    this.invariants.sent(request);
    return request;
  }

  #ask(request: Request, to: number | "all"): void {
    for (const [index, node] of this.#nodes.entries()) {
      if (to !== "all" && to !== index) continue;
      node.liar?.knows(request);
      this.#carry(() => this.#step(index, { kind: "request", bytes: request.bytes }), index);
    }
  }

  /** Brings something somewhere, late, twice or not at all. @param index who takes part in it */
  #carry(arrive: () => void, index: number): void {
    const { loss, duplicates, delayMaxMs } = this.#weather;
    const isTwice = this.faults.happens("duplication", this.#random.next() < duplicates);
    for (let copy = 0; copy < (isTwice ? 2 : 1); copy++) {
      if (this.faults.happens("loss", this.#random.next() < loss)) continue;
      const slowMs = this.#slowMs("slow-member", index);
      const delayMs = Math.floor(this.#random.next() * delayMaxMs) + slowMs;
      this.faults.happens("delay", delayMs > delayMaxMs / 2);
      this.#events.push(this.nowMs + 1 + delayMs, arrive);
    }
  }

  #slowMs(fault: Fault, index: number): number {
    const slowMs = this.#weather === CALM ? 0 : (this.#parts.slowness?.[index] ?? 0);
    return this.faults.happens(fault, slowMs > 0) ? slowMs : 0;
  }

  #application(): Application {
    return this.#parts.application?.() ?? new Ledger();
  }

  #persist({ disk }: Node, { persist }: PbftEffects): void {
    for (const operation of persist)
      if (operation.type === "put") disk.set(operation.key, operation.value);
      else disk.delete(operation.key);
  }

  #step(index: number, input: PbftInput): void {
    const { replica } = this.#nodes[index]!;
    if (replica !== undefined) this.#take(index, replica.step(input));
  }

  #take(index: number, effects: PbftEffects): void {
    const node = this.#nodes[index]!;
    const stable = node.replica?.stable;
    if (node.liar === undefined && stable !== undefined) this.invariants.stable(index, stable);
    const isDurable = effects.persist.length === 0;
    const entry = { effects, stable: stable?.sequence ?? 0, isDurable };
    node.waiting.push(entry);
    if (entry.isDurable) {
      this.#performReady(index);
      return;
    }
    const { life } = node;
    const { syncMaxMs, writeFailures = 0 } = this.#weather;
    const failed = this.faults.happens("failed-write", this.#random.next() < writeFailures);
    const syncMs = Math.floor(this.#random.next() * syncMaxMs) + (failed ? RETRY_MS : 0);
    this.faults.happens("slow-disk", syncMs > CALM.syncMaxMs);
    this.#events.push(this.nowMs + syncMs, () => {
      if (node.life !== life) return;
      entry.isDurable = true;
      this.#performReady(index);
    });
  }

  #performReady(index: number): void {
    const node = this.#nodes[index]!;
    while (node.waiting[0]?.isDurable === true) {
      const { effects, stable } = node.waiting.shift()!;
      this.#perform(index, node, effects, stable);
    }
  }

  #perform(index: number, node: Node, effects: PbftEffects, stable: number): void {
    this.#persist(node, effects);
    if (node.liar === undefined) this.invariants.performed(index, effects, stable);
    for (const { to, bytes } of effects.send)
      for (const peer of to) this.#send(index, this.members.group.indexOf(peer)!, bytes);
    for (const { timer, afterMs } of effects.timers) this.#setTimer(index, node, timer, afterMs);
    if (effects.install !== undefined) node.ledger.install(effects.install);
    if (effects.execute !== undefined) {
      const { sequence } = effects.execute;
      const done = node.ledger.execute(effects.execute);
      if (done.state !== undefined && node.liar === undefined)
        this.invariants.stateAfter(sequence, done.state);
      this.#later(node, () => this.#step(index, { kind: "executed", sequence, ...done }));
    }
    for (const reply of effects.replies)
      this.#carry(() => {
        for (const client of this.#clients)
          client.answered(
            index,
            node.liar === undefined || reply.kind === "too-old"
              ? reply
              : { ...reply, result: Buffer.from("lie") },
          );
      }, index);
  }

  /** Unless the node crashes before. */
  #later(node: Node, run: () => void): void {
    const { life } = node;
    this.#events.push(this.nowMs, () => {
      if (node.life === life) run();
    });
  }

  #setTimer(index: number, node: Node, timer: TimerName, afterMs: number | undefined): void {
    const number = this.#timerNumber++;
    node.timers.set(timer, number);
    if (afterMs === undefined) return;
    const skew = this.#parts.skews?.[index] ?? 1;
    const isSkewed = this.faults.happens("clock-skew", skew !== 1);
    this.#events.push(this.nowMs + afterMs * (isSkewed ? skew : 1), () => {
      if (node.timers.get(timer) === number) this.#step(index, { kind: "timer", timer });
    });
  }

  #send(from: number, to: number, bytes: Uint8Array): void {
    const { liar } = this.#nodes[from]!;
    let said = [bytes];
    if (liar !== undefined) {
      const { group } = this.members;
      const bytesMax = messageBytesMax(this.#options, group);
      const message = decodeMessage(bytes, bytesMax, group.size);
      if (message !== undefined) said = liar.says(message, bytes);
    }
    for (const bytes of said)
      this.#carry(() => {
        if (this.#isCut(from, to)) return;
        this.#nodes[to]!.liar?.hears(bytes);
        this.#step(to, { kind: "message", from: this.members.group.members[from]!, bytes });
      }, from);
  }

  /** One line for a failed run. */
  describe(): string {
    return this.#nodes
      .map(({ replica, liar }, index) => {
        if (replica === undefined) return `${index}: down`;
        const { view, isActive, executed, stable, waitingCount } = replica;
        return `${index}${liar ? "!" : ""}: view ${view}${isActive ? "" : "?"}, executed ${executed}, stable ${stable.sequence}, waiting ${waitingCount}`;
      })
      .join("; ");
  }

  /** Honest replicas have executed the same, and take part in one view or wait for another. */
  isAgreed(): boolean {
    const honest = this.#nodes.filter(({ liar }) => liar === undefined);
    const [first] = honest.map(({ replica }) => replica?.executed);
    return honest.every(({ replica }) => replica?.executed === first);
  }
}
