import type { MembershipEffects, MembershipInput } from "../../src/mesh/membership/effects.ts";
import type { MemberChange } from "../../src/mesh/membership/member.ts";
import { Membership } from "../../src/mesh/membership/membership.ts";
import {
  defaultMembershipOptions,
  type MembershipOptions,
  type MembershipPace,
} from "../../src/mesh/membership/options.ts";
import type { KnownRecord } from "../../src/mesh/records/known-record.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

/** Input without its time, which the world adds. */
type Untimed = MembershipInput extends infer I
  ? I extends unknown
    ? Omit<I, "nowMs">
    : never
  : never;

/** One thing that some agent saw happen to a member. */
export interface Sighting {
  readonly atMs: number;
  readonly by: number;
  readonly change: MemberChange;
}

/** An agent that does not play by the rules: it hears what comes, and says what it likes. */
export interface Rogue {
  readonly peer: PeerId;
  hear(from: PeerId, bytes: Uint8Array): void;
  linked?(peer: PeerId): void;
}

interface Node {
  readonly index: number;
  readonly signer: Signer;
  membership: Membership | undefined;
  rogue: Rogue | undefined;
  up: boolean;
  epoch: number;
  tickAtMs: number;
  asleepUntilMs: number;
  readonly links: Map<PeerId, number>;
}

export interface WorldOptions {
  readonly seed: string;
  /** Share of messages that get lost, each way. */
  readonly loss?: number;
  /** One way, least and most. */
  readonly delayMs?: readonly [number, number];
  readonly membership?: Partial<MembershipOptions>;
  readonly recordsCached?: number;
  /** After each step, whether the next one is planned in time. */
  readonly checksPlans?: boolean;
  /** Called for each change; without it they are kept in `sightings`. */
  readonly onChange?: (sighting: Sighting) => void;
}

/** Until an end of a link notices by itself that nothing gets through any more. */
const LINK_TIMEOUT_MS = 20_000;
const DIAL_TIMEOUT_MS = 3_000;

/** Events by time, then in order of scheduling: a binary heap. */
class Events {
  readonly #heap: { atMs: number; order: number; run: () => void }[] = [];
  #order = 0;

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const added = { atMs, order: this.#order++, run };
    let at = heap.length;
    heap.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(added, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = added;
  }

  take(untilMs: number): { atMs: number; run: () => void } | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > untilMs) return undefined;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Agents, links between them that take time and lose messages, and everything that can go wrong with both. */
export class World {
  nowMs = 0;
  readonly keys = new VirtualKeys();
  readonly nodes: Node[] = [];
  readonly sightings: Sighting[] = [];
  messages = 0;
  bytes = 0;
  offences: { by: number; peer: PeerId; kind: string }[] = [];
  loss: number;
  /** Hears every message. */
  onMessage: (bytes: Uint8Array) => void = () => undefined;
  /** Hears every dial. */
  onConnect: (peer: PeerId, addresses: readonly string[]) => void = () => undefined;
  readonly #options: WorldOptions;
  readonly #random: SeededRandom;
  readonly #verifier: CachingVerifier;
  readonly #events = new Events();
  readonly #byPeer = new Map<PeerId, Node>();
  #links = 0;
  #blocked: (a: number, b: number) => boolean = () => false;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.loss = options.loss ?? 0;
    this.#random = new SeededRandom(`${options.seed}/world`);
    this.#verifier = new CachingVerifier(
      this.keys.signer("verifier"),
      options.recordsCached ?? 100_000,
    );
  }

  /** @returns the index of a new agent, which runs at once */
  add(): number {
    const node = this.#newNode(`${this.#options.seed}/${this.nodes.length}`);
    this.#boot(node, []);
    return node.index;
  }

  /** @param make gets the rogue's signer, and how it sends */
  addRogue(make: (signer: Signer, send: (to: PeerId, bytes: Uint8Array) => void) => Rogue): number {
    const node = this.#newNode(`${this.#options.seed}/rogue-${this.nodes.length}`);
    node.up = true;
    node.rogue = make(node.signer, (to, bytes) => this.#send(node, to, bytes));
    return node.index;
  }

  membership(index: number): Membership {
    const membership = this.nodes[index]?.membership;
    if (membership === undefined) throw new Error(`agent ${index} is not running`);
    return membership;
  }

  peer(index: number): PeerId {
    return this.nodes[index]!.signer.peerId;
  }

  indexOf(peer: PeerId): number {
    return this.#byPeer.get(peer)!.index;
  }

  record(index: number): KnownRecord {
    return this.membership(index).self;
  }

  input(index: number, input: Untimed): void {
    const node = this.nodes[index]!;
    if (node.membership === undefined) throw new Error(`agent ${index} is not running`);
    this.#step(node, input);
  }

  /** Tells one agent where another is, as discovery does. */
  introduce(index: number, to: number): void {
    this.input(index, { kind: "discovered", peer: this.peer(to), addresses: [`/sim/${to}`] });
  }

  /** @returns the index of another device with the key of that agent, but its own disk: a cloned card */
  addTwin(index: number): number {
    const node = this.#newNode("", this.nodes[index]!.signer);
    this.#boot(node, []);
    return node.index;
  }

  /** The agent does nothing for that long; what comes for it waits, its links stay. */
  sleep(index: number, durationMs: number): void {
    this.nodes[index]!.asleepUntilMs = this.nowMs + durationMs;
  }

  setPace(index: number, pace: MembershipPace): void {
    const node = this.nodes[index]!;
    this.#arm(node, this.membership(index).setPace(pace, this.nowMs));
  }

  /** A rogue says something. */
  say(index: number, to: number, bytes: Uint8Array): void {
    this.#send(this.nodes[index]!, this.peer(to), bytes);
  }

  /** A rogue dials. */
  dialFrom(index: number, to: number): void {
    this.#dial(this.nodes[index]!, this.peer(to));
  }

  /** The process dies; the system closes its links. */
  kill(index: number): void {
    const node = this.nodes[index]!;
    const peers = [...node.links.keys()];
    this.#stop(node);
    for (const peer of peers)
      this.#later(this.#delay(), () => this.#down(this.#byPeer.get(peer)!, node.signer.peerId));
  }

  /** A link ends though both of its agents are well, as radio links do. */
  breakLink(index: number, to: number): void {
    this.#down(this.nodes[index]!, this.peer(to));
  }

  /** The power goes: nobody closes anything. */
  cutPower(index: number): void {
    const node = this.nodes[index]!;
    const peers = [...node.links.keys()];
    this.#stop(node);
    for (const peer of peers)
      this.#later(LINK_TIMEOUT_MS, () => this.#down(this.#byPeer.get(peer)!, node.signer.peerId));
  }

  /** Says good-bye, then ends. */
  leave(index: number): void {
    this.input(index, { kind: "leave" });
    this.#later(200, () => this.kill(index));
  }

  /** Starts a stopped agent again, with what it has on disk. */
  restart(index: number, remembered: readonly Uint8Array[]): void {
    this.#boot(this.nodes[index]!, remembered);
  }

  /** Lets nothing pass between agents of different sides; links in between time out. */
  partition(side: (index: number) => number): void {
    this.#blocked = (a, b) => side(a) !== side(b);
    for (const node of this.nodes)
      for (const [peer, link] of node.links)
        if (this.#blocked(node.index, this.indexOf(peer)))
          this.#later(LINK_TIMEOUT_MS * (0.5 + 0.5 * this.#random.next()), () => {
            if (node.links.get(peer) === link && this.#blocked(node.index, this.indexOf(peer)))
              this.#down(node, peer);
          });
  }

  heal(): void {
    this.#blocked = () => false;
  }

  run(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (;;) {
      const event = this.#events.take(untilMs);
      if (event === undefined) break;
      this.nowMs = event.atMs;
      event.run();
    }
    this.nowMs = untilMs;
  }

  /** Runs until it holds. @returns how long that took @throws Error when it does not in time */
  runUntil(what: string, holds: () => boolean, withinMs: number, everyMs = 100): number {
    const fromMs = this.nowMs;
    while (!holds()) {
      if (this.nowMs - fromMs >= withinMs)
        throw new Error(`not within ${withinMs} ms: ${what} (seed ${this.#options.seed})`);
      this.run(everyMs);
    }
    return this.nowMs - fromMs;
  }

  running(): Node[] {
    return this.nodes.filter(({ up, membership }) => up && membership !== undefined);
  }

  #newNode(keySeed: string, signer = this.keys.signer(keySeed)): Node {
    const node: Node = {
      index: this.nodes.length,
      signer,
      membership: undefined,
      rogue: undefined,
      up: false,
      epoch: 0,
      tickAtMs: Number.POSITIVE_INFINITY,
      asleepUntilMs: 0,
      links: new Map(),
    };
    this.nodes.push(node);
    // Of two with one key, others reach the first.
    if (!this.#byPeer.has(signer.peerId)) this.#byPeer.set(signer.peerId, node);
    return node;
  }

  #boot(node: Node, remembered: readonly Uint8Array[]): void {
    node.up = true;
    node.epoch++;
    node.membership = new Membership({
      signer: node.signer,
      verifier: this.#verifier,
      random: new SeededRandom(`${this.#options.seed}/${node.index}/${node.epoch}`),
      options: { ...defaultMembershipOptions, ...this.#options.membership },
      self: {
        agentId: `agent-${node.index}`,
        version: "0.1.0",
        addresses: [`/sim/${node.index}`],
        health: { status: "ok", powerMode: "normal" },
      },
      epoch: node.epoch,
      startMs: this.nowMs,
      remembered,
    });
    this.#step(node, { kind: "tick" });
  }

  #stop(node: Node): void {
    node.up = false;
    node.membership = undefined;
    node.tickAtMs = Number.POSITIVE_INFINITY;
    node.links.clear();
  }

  #step(node: Node, input: Untimed): void {
    if (node.membership === undefined) return;
    if (node.asleepUntilMs > this.nowMs) {
      this.#events.add(node.asleepUntilMs, () => this.#step(node, input));
      return;
    }
    const effects = node.membership.step({ ...input, nowMs: this.nowMs });
    if (this.#options.checksPlans === true) this.#checkPlan(node.membership, effects, input.kind);
    this.#perform(node, effects);
  }

  /** To part from nobody changes nothing, but lets the membership look again when what is due. */
  #checkPlan(membership: Membership, { nextTickAtMs }: MembershipEffects, after: string): void {
    const again = membership.step({ kind: "part", peer: "nobody", nowMs: this.nowMs });
    if (again.nextTickAtMs < nextTickAtMs)
      throw new Error(`${after}: planned for ${nextTickAtMs}, due at ${again.nextTickAtMs}`);
  }

  #perform(node: Node, effects: MembershipEffects): void {
    for (const change of effects.changes) {
      const sighting = { atMs: this.nowMs, by: node.index, change };
      if (this.#options.onChange === undefined) this.sightings.push(sighting);
      else this.#options.onChange(sighting);
    }
    for (const { to, bytes } of effects.send) this.#send(node, to, bytes);
    for (const { peer, addresses } of effects.connect) {
      this.onConnect(peer, addresses);
      this.#dial(node, peer);
    }
    for (const { peer } of effects.disconnect) this.#hangUp(node, peer);
    for (const { peer, kind } of effects.offences)
      this.offences.push({ by: node.index, peer, kind });
    this.#arm(node, effects.nextTickAtMs);
  }

  #arm(node: Node, atMs: number): void {
    if (atMs === node.tickAtMs) return;
    node.tickAtMs = atMs;
    if (!Number.isFinite(atMs)) return;
    this.#events.add(Math.max(atMs, this.nowMs), () => {
      if (node.tickAtMs !== atMs || node.membership === undefined) return;
      node.tickAtMs = Number.NEGATIVE_INFINITY;
      this.#step(node, { kind: "tick" });
    });
  }

  #send(node: Node, to: PeerId, bytes: Uint8Array): void {
    const link = node.links.get(to);
    if (link === undefined) return;
    this.messages++;
    this.bytes += bytes.length;
    this.onMessage(bytes);
    if (this.loss > 0 && this.#random.next() < this.loss) return;
    const other = this.#byPeer.get(to)!;
    this.#later(this.#delay(), () => {
      if (!other.up || other.links.get(node.signer.peerId) !== link) return;
      if (this.#blocked(node.index, other.index)) return;
      other.rogue?.hear(node.signer.peerId, bytes);
      this.#step(other, { kind: "message", from: node.signer.peerId, bytes });
    });
  }

  #dial(node: Node, peer: PeerId): void {
    const other = this.#byPeer.get(peer);
    const cut = other !== undefined && this.#blocked(node.index, other.index);
    this.#later(cut ? DIAL_TIMEOUT_MS : 2 * this.#delay(), () => {
      if (!node.up) return;
      if (other === undefined || !other.up || this.#blocked(node.index, other.index)) {
        this.#step(node, { kind: "connect-failed", peer });
        return;
      }
      if (node.links.has(peer)) return;
      const link = ++this.#links;
      node.links.set(peer, link);
      other.links.set(node.signer.peerId, link);
      const self = node.signer.peerId;
      this.#step(node, { kind: "link-up", peer, direction: "outbound" });
      this.#step(other, { kind: "link-up", peer: self, direction: "inbound" });
      node.rogue?.linked?.(peer);
      other.rogue?.linked?.(self);
    });
  }

  /** What was sent before still arrives. */
  #hangUp(node: Node, peer: PeerId): void {
    const link = node.links.get(peer);
    const other = this.#byPeer.get(peer)!;
    if (link === undefined) return;
    node.links.delete(peer);
    const [, most] = this.#options.delayMs ?? [5, 30];
    this.#later(most + 1, () => {
      if (other.links.get(node.signer.peerId) === link) this.#down(other, node.signer.peerId);
    });
  }

  #down(node: Node, peer: PeerId): void {
    if (!node.links.delete(peer)) return;
    this.#byPeer.get(peer)?.links.delete(node.signer.peerId);
    this.#step(node, { kind: "link-down", peer });
    const other = this.#byPeer.get(peer)!;
    if (other.up) this.#step(other, { kind: "link-down", peer: node.signer.peerId });
  }

  #delay(): number {
    const [least, most] = this.#options.delayMs ?? [5, 30];
    return least + (most - least) * this.#random.next();
  }

  #later(delayMs: number, run: () => void): void {
    this.#events.add(this.nowMs + delayMs, run);
  }
}

/** A fleet of that size that knows itself, grown from its first agent. */
export function grown(options: WorldOptions, size: number): World {
  const world = new World(options);
  for (let at = 0; at < size; at++) {
    world.add();
    if (at > 0) world.introduce(at, Math.floor(at / 2));
    world.run(50);
  }
  world.runUntil(
    "all know all",
    () => world.running().every(({ membership }) => membership!.counts().alive === size),
    60_000,
  );
  return world;
}
