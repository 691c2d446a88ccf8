// Many negotiations in one process: links that take time and lose messages, and members that each agent hears of late.
import type { KnownAssignment } from "../../src/coordination/roles/assignment.ts";
import type {
  FleetMembers,
  RoleChange,
  RoleEffects,
  RoleInput,
} from "../../src/coordination/roles/effects.ts";
import { RoleNegotiation } from "../../src/coordination/roles/negotiation.ts";
import { defaultRoleOptions, type RoleOptions } from "../../src/coordination/roles/options.ts";
import type { Member, MemberChange, MemberState } from "../../src/mesh/membership/member.ts";
import type { KnownRecord } from "../../src/mesh/records/known-record.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import { EventHeap } from "../../src/simulator/event-heap.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { type Device, recordOf } from "../support/role-records.ts";

type Untimed = RoleInput extends infer I ? (I extends unknown ? Omit<I, "nowMs"> : never) : never;

interface Node {
  readonly index: number;
  readonly signer: Signer;
  device: Device;
  sequence: number;
  record: KnownRecord;
  up: boolean;
  starts: number;
  negotiation: RoleNegotiation | undefined;
  tickAtMs: number;
  readonly links: Set<number>;
  /** Its view of the fleet. */
  readonly members: Map<PeerId, { record: KnownRecord; state: MemberState }>;
  readonly knownBy: Set<number>;
}

export interface RolesWorldOptions {
  readonly seed: string;
  readonly loss?: number;
  readonly roles?: Partial<RoleOptions>;
  /** Members in each agent's table at most; fewer than there are makes views partial. */
  readonly viewMax?: number;
  readonly linksWanted?: number;
}

/** Until agents of a partition hold each other to be dead, or to be back. */
const NOTICE_DEATH_MS = [4_000, 20_000] as const;
const NOTICE_NEWS_MS = [100, 3_000] as const;
const DELAY_MS = [5, 50] as const;

/** One change as an agent told it. */
export interface Told {
  readonly atMs: number;
  readonly by: number;
  readonly change: RoleChange;
}

/** A fleet of negotiations, with the membership played. */
export class RolesWorld {
  nowMs = 0;
  readonly nodes: Node[] = [];
  readonly told: Told[] = [];
  readonly offences: { by: number; peer: PeerId; kind: string }[] = [];
  /** Agents that took themselves to be in the committee while they were not on mains. */
  readonly onBattery: { readonly atMs: number; readonly by: number }[] = [];
  readonly keys = new VirtualKeys();
  readonly verifier: CachingVerifier;
  loss: number;
  messages = 0;
  bytes = 0;
  readonly #options: RolesWorldOptions;
  readonly #random: SeededRandom;
  readonly #events = new EventHeap<() => void>();
  readonly #byPeer = new Map<PeerId, Node>();
  #side: (index: number) => number = () => 0;

  constructor(options: RolesWorldOptions) {
    this.#options = options;
    this.loss = options.loss ?? 0;
    this.#random = new SeededRandom(`${options.seed}/world`);
    this.verifier = new CachingVerifier(this.keys.signer("verifier"), 100_000);
  }

  /** Makes agents that know each other (as many as fit in their tables), are linked, and start now. */
  populate(devices: readonly Device[]): void {
    const first = this.nodes.length;
    for (const device of devices) this.#create(device);
    const fresh = this.nodes.slice(first);
    for (const node of fresh) this.#meetFleet(node);
    for (const node of fresh) this.#linkUp(node);
    for (const node of fresh) this.start(node.index);
  }

  /** A newcomer: known to others within seconds. */
  join(device: Device): number {
    const node = this.#create(device);
    this.#learn(node, node, "alive");
    for (const other of this.#drawn(node)) {
      this.#soon(NOTICE_NEWS_MS, () => this.#learn(node, other, "alive"));
      this.#soon(NOTICE_NEWS_MS, () => this.#learn(other, node, "alive"));
    }
    this.#linkUp(node);
    this.start(node.index);
    return node.index;
  }

  start(index: number): void {
    const node = this.#at(index);
    node.up = true;
    if (node.starts++ > 0) this.#beginAnew(node);
    node.negotiation = new RoleNegotiation({
      signer: node.signer,
      verifier: this.verifier,
      random: new SeededRandom(`${this.#options.seed}/${index}/${node.starts}`),
      members: this.#viewOf(node),
      options: { ...defaultRoleOptions, ...this.#options.roles },
      startMs: this.nowMs,
    });
    this.#step(node, { kind: "tick" });
    for (const peer of node.links) this.#announceLink(node, this.#at(peer));
  }

  /** With a later epoch, as after every start. */
  #beginAnew(node: Node): void {
    node.record = recordOf(node.signer, this.verifier, node.device, ++node.sequence, node.starts);
    const own = node.members.get(node.signer.peerId);
    if (own !== undefined) own.record = node.record;
  }

  /** The process dies; the membership notices. */
  kill(index: number): void {
    this.#stop(index);
    this.#notice(this.#at(index), "dead", NOTICE_DEATH_MS);
  }

  /** Says good-bye. */
  leave(index: number): void {
    this.#step(this.#at(index), { kind: "leave" });
    const node = this.#at(index);
    this.#later(200, () => {
      this.#stop(index);
      this.#notice(node, "left", NOTICE_NEWS_MS);
    });
  }

  /** Starts again what was killed. */
  revive(index: number): void {
    const node = this.#at(index);
    this.#linkUp(node);
    this.start(index);
    this.#notice(node, "alive", NOTICE_NEWS_MS);
  }

  /** The device is otherwise from now on, and says so. */
  change(index: number, device: Partial<Device>): void {
    const node = this.#at(index);
    node.device = { ...node.device, ...device };
    const epoch = Math.max(1, node.starts);
    node.record = recordOf(node.signer, this.verifier, node.device, ++node.sequence, epoch);
    const { record } = node;
    for (const by of [index, ...node.knownBy]) {
      const other = this.#at(by);
      const tell = () => {
        const mine = other.members.get(record.peerId);
        if (mine === undefined || mine.record.sequence >= record.sequence) return;
        mine.record = record;
        this.#step(other, { kind: "member", peer: record.peerId, change: "updated" });
      };
      if (by === index) tell();
      else if (!this.#isCut(index, by)) this.#soon(NOTICE_NEWS_MS, tell);
    }
  }

  /** Nothing passes between sides, which hold each other to be dead after a while; within a side all is as it is. */
  partition(side: (index: number) => number): void {
    this.#side = side;
    for (const node of this.nodes)
      for (const peer of node.links)
        if (node.index < peer && this.#isCut(node.index, peer)) this.#unlink(node.index, peer);
    for (const node of this.nodes) {
      if (node.up) this.#linkUp(node, 2);
      for (const by of node.knownBy)
        if (this.#isCut(node.index, by))
          this.#soon(NOTICE_DEATH_MS, () => {
            if (this.#isCut(node.index, by)) this.#learn(this.#at(by), node, "dead");
          });
        else this.#soon(NOTICE_NEWS_MS, () => this.#refresh(this.#at(by), node));
      this.#notice(node, node.up ? "alive" : "dead", node.up ? NOTICE_NEWS_MS : NOTICE_DEATH_MS);
    }
  }

  /** Links come back, and each side hears that the other lives. */
  heal(): void {
    this.partition(() => 0);
  }

  run(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    while (this.#events.nextMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.#events.nextMs);
      this.#events.pop()?.();
    }
    this.nowMs = untilMs;
  }

  /** Runs until it holds. @returns how long that took @throws Error when it does not in time */
  runUntil(what: string, holds: () => boolean, withinMs: number): number {
    const fromMs = this.nowMs;
    while (!holds()) {
      if (this.nowMs - fromMs >= withinMs)
        throw new Error(
          `not within ${withinMs} ms: ${what} (seed ${this.#options.seed}); ${this.describe()}`,
        );
      this.run(500);
    }
    return this.nowMs - fromMs;
  }

  running(): Node[] {
    return this.nodes.filter(({ up }) => up);
  }

  held(index: number): KnownAssignment | undefined {
    return this.#at(index).negotiation?.inForce(this.nowMs)?.assignment;
  }

  negotiation(index: number): RoleNegotiation {
    const { negotiation } = this.#at(index);
    if (negotiation === undefined) throw new Error(`agent ${index} is not running`);
    return negotiation;
  }

  indexOf(peer: PeerId): number {
    return this.#byPeer.get(peer)?.index ?? -1;
  }

  /** Every running agent of the side goes by one and the same assignment, made by one of them. */
  isAgreed(side: (index: number) => boolean = () => true): boolean {
    const nodes = this.running().filter(({ index }) => side(index));
    const names = new Set(nodes.map(({ index }) => nameOf(this.held(index))));
    const [first] = nodes;
    const held = first === undefined ? undefined : this.held(first.index);
    return (
      names.size === 1 &&
      held !== undefined &&
      nodes.some(({ signer }) => signer.peerId === held.maker)
    );
  }

  /** Agents that take themselves to be a coordinator. */
  coordinators(): number[] {
    return this.running()
      .filter(({ negotiation }) => negotiation?.roles.coordination === "coordinator")
      .map(({ index }) => index);
  }

  /** What is in force, for the message of a failure. */
  describe(): string {
    const counts = new Map<string, number>();
    for (const { index } of this.running()) {
      const name = nameOf(this.held(index));
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts].map(([name, count]) => `${count} × ${name}`).join(", ");
  }

  /** Somebody says something to an agent over a link that is there. */
  say(from: number, to: number, bytes: Uint8Array): void {
    this.#step(this.#at(to), {
      kind: "message",
      from: this.#at(from).signer.peerId,
      bytes,
    });
  }

  #create(device: Device): Node {
    const index = this.nodes.length;
    const signer = this.keys.signer(`${this.#options.seed}/${index}`);
    const node: Node = {
      index,
      signer,
      device,
      sequence: 1,
      record: recordOf(signer, this.verifier, device),
      up: false,
      starts: 0,
      negotiation: undefined,
      tickAtMs: Number.POSITIVE_INFINITY,
      links: new Set(),
      members: new Map(),
      knownBy: new Set(),
    };
    this.nodes.push(node);
    this.#byPeer.set(signer.peerId, node);
    return node;
  }

  #at(index: number): Node {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no agent ${index}`);
    return node;
  }

  #viewOf(node: Node): FleetMembers {
    const { members } = node;
    const viewMax = this.#options.viewMax ?? Number.POSITIVE_INFINITY;
    const member = (one: { record: KnownRecord; state: MemberState }): Member => ({
      ...one,
      sinceMs: 0,
      heardOfAtMs: 0,
      recordAtMs: 0,
    });
    return {
      self: node.signer.peerId,
      all: () => [...members.values()].map(member),
      get: (peer) => {
        const one = members.get(peer);
        return one === undefined ? undefined : member(one);
      },
      isPartial: () => members.size >= viewMax,
    };
  }

  /** Others that are drawn for a table. */
  #drawn(node: Node): Node[] {
    const others = this.nodes.filter((other) => other !== node);
    const max = Math.min(others.length, (this.#options.viewMax ?? Number.POSITIVE_INFINITY) - 1);
    for (let at = 0; at < max; at++) {
      const other = at + Math.floor(this.#random.next() * (others.length - at));
      [others[at], others[other]] = [others[other] as Node, others[at] as Node];
    }
    return others.slice(0, max);
  }

  #meetFleet(node: Node): void {
    this.#learn(node, node, "alive");
    for (const other of this.#drawn(node)) this.#learn(node, other, "alive");
  }

  /** An agent's table says that of another from now on. */
  #learn(by: Node, about: Node, state: MemberState): void {
    const peer = about.signer.peerId;
    const known = by.members.get(peer);
    if (known === undefined) {
      if (by.members.size >= (this.#options.viewMax ?? Number.POSITIVE_INFINITY)) return;
      by.members.set(peer, { record: about.record, state });
      if (by !== about) about.knownBy.add(by.index);
      this.#step(by, { kind: "member", peer, change: "joined" });
      return;
    }
    if (known.state === state) return;
    known.state = state;
    if (known.record.sequence < about.record.sequence) known.record = about.record;
    const change: MemberChange["kind"] = state === "alive" ? "back" : state;
    this.#step(by, { kind: "member", peer, change });
  }

  #refresh(by: Node, about: Node): void {
    const known = by.members.get(about.signer.peerId);
    if (known === undefined || known.record.sequence >= about.record.sequence) return;
    known.record = about.record;
    this.#step(by, { kind: "member", peer: about.signer.peerId, change: "updated" });
  }

  #notice(about: Node, state: MemberState, within: readonly [number, number]): void {
    const { up } = about;
    for (const by of about.knownBy)
      this.#soon(within, () => {
        if (about.up === up && !this.#isCut(about.index, by))
          this.#learn(this.#at(by), about, state);
      });
  }

  /** Opens links until there are as many as wanted; the first goes to the neighbour in a ring, so that all hang together. */
  #linkUp(node: Node, more = this.#options.linksWanted ?? 4): void {
    const sameSide = this.nodes.filter(
      (other) =>
        other !== node && (other.up || other.starts === 0) && !this.#isCut(node.index, other.index),
    );
    if (sameSide.length === 0) return;
    const next = sameSide.find(({ index }) => index > node.index) ?? sameSide[0];
    if (next !== undefined) this.#link(node, next);
    for (let count = 1; count < more; count++) {
      const other = sameSide[Math.floor(this.#random.next() * sameSide.length)];
      if (other !== undefined) this.#link(node, other);
    }
  }

  #link(a: Node, b: Node): void {
    if (a.links.has(b.index)) return;
    a.links.add(b.index);
    b.links.add(a.index);
    this.#announceLink(a, b);
  }

  #announceLink(a: Node, b: Node): void {
    if (!a.up || !b.up) return;
    this.#step(a, { kind: "link-up", peer: b.signer.peerId });
    this.#step(b, { kind: "link-up", peer: a.signer.peerId });
  }

  #unlink(a: number, b: number): void {
    const [one, other] = [this.#at(a), this.#at(b)];
    one.links.delete(b);
    other.links.delete(a);
    this.#step(one, { kind: "link-down", peer: other.signer.peerId });
    this.#step(other, { kind: "link-down", peer: one.signer.peerId });
  }

  #stop(index: number): void {
    const node = this.#at(index);
    node.up = false;
    node.negotiation = undefined;
    const peers = [...node.links];
    for (const peer of peers) this.#unlink(index, peer);
    // Who lost a link looks for another.
    for (const peer of peers) if (this.#at(peer).up) this.#linkUp(this.#at(peer), 2);
  }

  #isCut(a: number, b: number): boolean {
    return this.#side(a) !== this.#side(b);
  }

  #step(node: Node, input: Untimed): void {
    if (node.negotiation === undefined) return;
    this.#perform(node, node.negotiation.step({ ...input, nowMs: this.nowMs }));
  }

  #perform(node: Node, effects: RoleEffects): void {
    for (const change of effects.changes)
      this.told.push({ atMs: this.nowMs, by: node.index, change });
    if (node.device.supply !== "mains" && node.negotiation?.roles.coordination !== "worker")
      this.onBattery.push({ atMs: this.nowMs, by: node.index });
    for (const { peer, kind } of effects.offences)
      this.offences.push({ by: node.index, peer, kind });
    for (const { to, bytes } of effects.send) this.#send(node, to, bytes);
    if (effects.nextTickAtMs === node.tickAtMs) return;
    const atMs = effects.nextTickAtMs;
    node.tickAtMs = atMs;
    if (!Number.isFinite(atMs)) return;
    this.#events.push(Math.max(atMs, this.nowMs), () => {
      if (node.tickAtMs !== atMs) return;
      node.tickAtMs = Number.NEGATIVE_INFINITY;
      this.#step(node, { kind: "tick" });
    });
  }

  #send(node: Node, to: PeerId, bytes: Uint8Array): void {
    const other = this.#byPeer.get(to);
    if (other === undefined || !node.links.has(other.index)) return;
    this.messages++;
    this.bytes += bytes.length;
    if (this.loss > 0 && this.#random.next() < this.loss) return;
    this.#soon(DELAY_MS, () => {
      if (node.links.has(other.index))
        this.#step(other, { kind: "message", from: node.signer.peerId, bytes });
    });
  }

  #soon([least, most]: readonly [number, number], run: () => void): void {
    this.#later(least + (most - least) * this.#random.next(), run);
  }

  #later(delayMs: number, run: () => void): void {
    this.#events.push(this.nowMs + delayMs, run);
  }
}

/** Names an assignment for people. */
export function nameOf(assignment: KnownAssignment | undefined): string {
  if (assignment === undefined) return "none";
  const { term, maker, signature } = assignment;
  return `term ${term} by ${maker.slice(-6)} ${signature.slice(0, 4).join(".")}`;
}
