import type { Clock, Timer } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { Random } from "../platform/random.ts";
import type { PeerId } from "../platform/signer.ts";
import { EventHeap } from "./event-heap.ts";
import type { LinkEnd, Space } from "./virtual-link.ts";
import type { VirtualNode } from "./virtual-node.ts";

/** A frame that is lost is sent again this often at most; then it comes through all the same. */
const RETRANSMISSIONS_MAX = 8;

/** How badly messages of protocols fare that claim to stand it; everything else goes over links that keep order. */
export interface DatagramManners {
  /** Ids of these protocols. */
  readonly protocols: ReadonlySet<string>;
  readonly lossRate: number;
  readonly duplicateRate: number;
  /** Chance that a message is held back for up to `reorderMs`, while later ones pass it. */
  readonly reorderRate: number;
  readonly reorderMs: number;
}

/** What the space between the nodes is like. It may change at any time. */
export interface EtherSettings {
  /** Never set back: it is everybody's. */
  readonly clock: Clock;
  readonly random: Random;
  /** For the digests of bulk content. */
  readonly hasher: Hasher;
  readonly datagrams?: DatagramManners | undefined;
  /** Hears of every frame that arrives. */
  readonly onArrival?: (from: PeerId, to: PeerId, payload: Uint8Array | number) => void;
  /** One way, in ms; 1 to 5 unless given. */
  readonly latencyMs?: (from: PeerId, to: PeerId, random: Random) => number;
  /** Chance that a frame is lost and has to be sent again. */
  readonly lossRate?: number;
  readonly retransmitMs?: number;
  /** Chance that a frame is the last one of its link, which breaks then. */
  readonly breakRate?: number;
  /** Of every link, each way; without a limit unless given. */
  readonly bytesPerMs?: number;
  /** After which a silent link is given up. */
  readonly detectMs?: number;
}

/**
 * The space between virtual nodes: who can be reached from where, how long it takes, and what goes wrong. One heap
 * holds everything that is under way, and one timer of the clock its next moment, so that thousands of nodes cost
 * what their messages cost. From one seed everything happens in one order.
 */
export class VirtualEther implements Space {
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  #settings: EtherSettings;
  readonly #events = new EventHeap<() => void>();
  readonly #nodes = new Map<PeerId, VirtualNode>();
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #running = false;
  /** Nothing gets from one to the other, as long as it says so. */
  #severed: ((from: PeerId, to: PeerId) => boolean) | undefined;
  #partitions = 0;
  readonly #cloggedUntilMs = new Map<PeerId, number>();

  constructor(settings: EtherSettings) {
    this.#settings = settings;
    this.clock = settings.clock;
    this.random = settings.random;
    this.hasher = settings.hasher;
  }

  at(ms: number, run: () => void): void {
    // Whole milliseconds: what happens within one shares a moment, and the clock is woken once for all of it.
    this.#events.push(Math.ceil(ms), run);
    if (!this.#running) this.#arm();
  }

  /** The weather changes. */
  change(
    settings: Pick<EtherSettings, "lossRate" | "breakRate" | "latencyMs" | "datagrams">,
  ): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** What comes from and goes to the node stands still for that long, and then comes all at once. */
  clog(peer: PeerId, durationMs: number): void {
    this.#cloggedUntilMs.set(peer, this.clock.monotonicMs() + durationMs);
  }

  /** @returns after which delays copies of a message arrive; none: it is lost; undefined: in order, as ever */
  datagram(protocolId: string): readonly number[] | undefined {
    const { datagrams } = this.#settings;
    if (datagrams === undefined || !datagrams.protocols.has(protocolId)) return undefined;
    const { lossRate, duplicateRate, reorderRate, reorderMs } = datagrams;
    if (this.random.next() < lossRate) return [];
    const late = (): number =>
      this.random.next() < reorderRate ? this.random.next() * reorderMs : 0;
    if (this.random.next() < duplicateRate) return [late(), late()];
    const lateMs = late();
    return lateMs > 0 ? [lateMs] : undefined;
  }

  arrived(from: PeerId, to: PeerId, payload: Uint8Array | number): void {
    this.#settings.onArrival?.(from, to, payload);
  }

  /** @returns a time of a one-way trip between two nodes, in ms */
  latencyMs(from: PeerId, to: PeerId): number {
    const { latencyMs } = this.#settings;
    return latencyMs?.(from, to, this.random) ?? 1 + this.random.next() * 4;
  }

  travel(from: PeerId, to: PeerId, bytes: number, freeAtMs: number) {
    const { lossRate = 0, retransmitMs = 200, breakRate = 0, bytesPerMs } = this.#settings;
    const nowMs = this.clock.monotonicMs();
    const sentAtMs =
      bytesPerMs === undefined ? nowMs : Math.max(nowMs, freeAtMs) + bytes / bytesPerMs;
    let atMs = sentAtMs + this.latencyMs(from, to);
    if (lossRate > 0)
      for (let n = 0; n < RETRANSMISSIONS_MAX && this.random.next() < lossRate; n++)
        atMs += retransmitMs;
    if (this.#cloggedUntilMs.size > 0)
      atMs = Math.max(atMs, this.#cloggedUntilMs.get(from) ?? 0, this.#cloggedUntilMs.get(to) ?? 0);
    const breaks = breakRate > 0 && this.random.next() < breakRate;
    return { atMs, freeAtMs: sentAtMs, breaks };
  }

  /** A node is there from now on, in place of one of the same name. */
  join(node: VirtualNode): void {
    this.#nodes.set(node.self, node);
  }

  leave(node: VirtualNode): void {
    if (this.#nodes.get(node.self) === node) this.#nodes.delete(node.self);
  }

  /** @returns the node that listens under the name, if it can be dialled */
  listener(peer: PeerId): VirtualNode | undefined {
    const node = this.#nodes.get(peer);
    return node?.settings.hidden === true ? undefined : node;
  }

  /** @returns those that hear each other's multicast */
  segment(name: string): VirtualNode[] {
    return [...this.#nodes.values()].filter(({ settings }) => settings.segment === name);
  }

  apart(from: PeerId, to: PeerId): boolean {
    return this.#severed?.(from, to) === true;
  }

  /**
   * Only within a group nodes reach each other from now on; those that are in none make up one more. Links across
   * stand still, and are given up once that has lasted for the detection time.
   */
  partition(groups: readonly Iterable<PeerId>[]): void {
    const of = new Map(groups.flatMap((group, n) => [...group].map((peer) => [peer, n])));
    this.sever((from, to) => of.get(from) !== of.get(to));
  }

  /**
   * Nothing gets from one node to another from now on where `severed` says so; the other way it may. Links stand still
   * as soon as one direction is gone, since nothing is acknowledged any more, and are given up after the detection time.
   */
  sever(severed: (from: PeerId, to: PeerId) => boolean): void {
    this.heal();
    const partition = this.#partitions;
    this.#severed = severed;
    const { detectMs = 15_000 } = this.#settings;
    this.at(this.clock.monotonicMs() + detectMs, () => {
      if (partition !== this.#partitions) return;
      for (const end of this.#ends()) {
        const [here, there] = [end.owner.self, end.link.peer];
        if (this.apart(here, there) || this.apart(there, here)) end.cut();
      }
    });
  }

  /** Everybody reaches everybody again. */
  heal(): void {
    this.#partitions++;
    this.#cloggedUntilMs.clear();
    if (this.#severed === undefined) return;
    this.#severed = undefined;
    for (const end of this.#ends()) end.healed();
  }

  /**
   * A node loses its power: nothing more happens in it, not even failures.
   * @param noticedAfterMs until its neighbours miss their links; 0 when its kernel still says goodbye
   */
  crash(peer: PeerId, noticedAfterMs = this.#settings.detectMs ?? 15_000): void {
    const node = this.#nodes.get(peer);
    if (node === undefined) return;
    this.#nodes.delete(peer);
    const ends = node.die();
    const nowMs = this.clock.monotonicMs();
    for (const end of ends)
      this.at(nowMs + noticedAfterMs + this.latencyMs(peer, end.link.peer), () => end.cut());
  }

  #ends(): LinkEnd[] {
    return [...this.#nodes.values()].flatMap((node) => node.all());
  }

  #arm(): void {
    const { nextMs } = this.#events;
    if (nextMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = nextMs;
    this.#timer = this.clock.setTimer("ether", nextMs - this.clock.monotonicMs(), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#run();
    });
  }

  #run(): void {
    const nowMs = this.clock.monotonicMs();
    this.#running = true;
    try {
      while (this.#events.nextMs <= nowMs) this.#events.pop()?.();
    } finally {
      this.#running = false;
      if (this.#events.size > 0) this.#arm();
    }
  }
}
