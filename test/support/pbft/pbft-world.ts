import { requestSigner } from "../../../src/consensus/pbft/credentials.ts";
import type { PbftEffects, PbftInput, TimerName } from "../../../src/consensus/pbft/effects.ts";
import { decodeMessage, messageBytesMax } from "../../../src/consensus/pbft/messages.ts";
import type { PbftOptions } from "../../../src/consensus/pbft/options.ts";
import { PbftReplica } from "../../../src/consensus/pbft/replica.ts";
import { makeRequest, type Request } from "../../../src/consensus/pbft/request.ts";
import { VoteCheck } from "../../../src/consensus/pbft/vote.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import type { Random } from "../../../src/platform/random.ts";
import { EventHeap } from "../../../src/simulator/event-heap.ts";
import { SeededRandom } from "../../../src/simulator/seeded-random.ts";
import { PbftInvariants } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
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
}

const CALM: Weather = { loss: 0, duplicates: 0, delayMaxMs: 5, syncMaxMs: 2 };

interface Node {
  replica: PbftReplica | undefined;
  /** What is durable. */
  readonly disk: Map<string, Uint8Array>;
  ledger: Ledger;
  /** Effects that wait for the disk, in order. */
  waiting: { readonly effects: PbftEffects; isDurable: boolean }[];
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
  #side: (index: number) => number = () => 0;
  #timerNumber = 0;
  nowMs = 0;

  constructor(parts: WorldParts) {
    const { seed, size, liars, clients, requests, weather, options } = parts;
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
        ledger: new Ledger(),
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
    node.ledger = new Ledger();
    if (node.liar === undefined) this.invariants.started(index);
    this.#take(index, node.replica.start());
  }

  /** What is not on disk is lost, and was not said to anybody. */
  crash(index: number): void {
    const node = this.#nodes[index]!;
    node.replica = undefined;
    node.waiting = [];
    node.timers.clear();
    node.life++;
  }

  /** Messages go between replicas of one side only. */
  partition(side: (index: number) => number): void {
    this.#side = side;
  }

  /** Everybody is up, and the network does what it should. */
  heal(): void {
    this.#weather = CALM;
    this.#side = () => 0;
    for (const index of this.#nodes.keys()) if (!this.isUp(index)) this.start(index);
  }

  /** Lets time go by. */
  run(forMs: number, isOver: () => boolean = () => false): void {
    const untilMs = this.nowMs + forMs;
    while (this.#events.nextMs <= untilMs) {
      this.nowMs = this.#events.nextMs;
      this.#events.pop()?.();
      if (isOver()) return;
    }
    this.nowMs = untilMs;
  }

  #request(client: number, timestamp: number): Request {
    const signer = this.members.keys.signer(`client-${client}`);
    const operation = Buffer.from(`${client} wants ${timestamp}`);
    const named = { client: signer.peerId, timestamp, operation };
    const request = makeRequest(this.members.group, named, requestSigner(signer));
    this.invariants.sent(request);
    return request;
  }

  #ask(request: Request, to: number | "all"): void {
    for (const [index, node] of this.#nodes.entries()) {
      if (to !== "all" && to !== index) continue;
      node.liar?.knows(request);
      this.#carry(() => this.#step(index, { kind: "request", bytes: request.bytes }));
    }
  }

  /** Brings something somewhere, late, twice or not at all. */
  #carry(arrive: () => void): void {
    const { loss, duplicates, delayMaxMs } = this.#weather;
    const copies = this.#random.next() < duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.next() < loss) continue;
      this.#events.push(this.nowMs + 1 + Math.floor(this.#random.next() * delayMaxMs), arrive);
    }
  }

  #step(index: number, input: PbftInput): void {
    const { replica } = this.#nodes[index]!;
    if (replica !== undefined) this.#take(index, replica.step(input));
  }

  #take(index: number, effects: PbftEffects): void {
    const node = this.#nodes[index]!;
    const entry = { effects, isDurable: effects.persist.length === 0 };
    node.waiting.push(entry);
    if (entry.isDurable) {
      this.#performReady(index);
      return;
    }
    const { life } = node;
    const syncMs = Math.floor(this.#random.next() * this.#weather.syncMaxMs);
    this.#events.push(this.nowMs + syncMs, () => {
      if (node.life !== life) return;
      entry.isDurable = true;
      this.#performReady(index);
    });
  }

  #performReady(index: number): void {
    const node = this.#nodes[index]!;
    while (node.waiting[0]?.isDurable === true) {
      const { effects } = node.waiting.shift()!;
      this.#perform(index, node, effects);
    }
  }

  #perform(index: number, node: Node, effects: PbftEffects): void {
    for (const operation of effects.persist)
      if (operation.type === "put") node.disk.set(operation.key, operation.value);
      else node.disk.delete(operation.key);
    if (node.liar === undefined) this.invariants.performed(index, effects);
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
      });
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
    this.#events.push(this.nowMs + afterMs, () => {
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
        if (this.#side(from) !== this.#side(to)) return;
        this.#nodes[to]!.liar?.hears(bytes);
        this.#step(to, { kind: "message", from: this.members.group.members[from]!, bytes });
      });
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
