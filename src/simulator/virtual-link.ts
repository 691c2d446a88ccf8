import type { Clock } from "../platform/clock.ts";
import { type Link, NetworkError } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";

/** What a frame counts for at least while it waits, as on the real thing. */
const COST_BYTES_MIN = 256;

interface Waiting {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: NetworkError) => void;
}

/** The space that links go through. */
export interface Space {
  readonly clock: Clock;
  /** Calls `run` then, after everything that was put there before. */
  at(ms: number, run: () => void): void;
  /**
   * @param freeAtMs when the line has sent what came before
   * @returns when a frame arrives, when the line is free again, and whether the link breaks instead
   */
  travel(
    from: PeerId,
    to: PeerId,
    bytes: number,
    freeAtMs: number,
  ): { readonly atMs: number; readonly freeAtMs: number; readonly breaks: boolean };
  /** @returns whether nothing gets from one to the other right now; the way back may be open */
  apart(from: PeerId, to: PeerId): boolean;
  /** A frame is there. */
  arrived(from: PeerId, to: PeerId, payload: Uint8Array | number): void;
}

/** Whose end of a link it is. */
export interface LinkOwner {
  readonly self: PeerId;
  readonly settings?: { readonly clock?: Pick<Clock, "monotonicMs"> };
  /** The end was closed, by either side. */
  ended(end: LinkEnd): void;
}

/** One end of a link between two nodes. Frames arrive in order, late perhaps, or the link breaks. */
export class LinkEnd {
  readonly owner: LinkOwner;
  /** As the owner sees it. */
  readonly link: Link;
  readonly #space: Space;
  /** Frames that wait on this end's way to the other, in bytes, by protocol. */
  readonly #queued = new Map<string, number>();
  // Most links never need these, and there are a hundred thousand of them in a large world.
  #waiting: Map<number, Waiting> | undefined;
  #onClose: Set<(error: NetworkError) => void> | undefined;
  /** What arrived here while the way was cut. */
  #stalled: (() => void)[] | undefined;
  #other: LinkEnd | undefined;
  #abandoned = false;
  #lastId = 0;
  #arrivesAtMs = 0;
  #freeAtMs = 0;
  #heldUntilMs = 0;
  open = true;

  private constructor(
    space: Space,
    owner: LinkOwner,
    peer: PeerId,
    address: string,
    direction: Link["direction"],
  ) {
    this.#space = space;
    this.owner = owner;
    const openedAtMs = (owner.settings?.clock ?? space.clock).monotonicMs();
    this.link = { peer, direction, transport: "tcp", address, openedAtMs };
  }

  /** @returns both ends; the first one dialled the second */
  static pair(
    space: Space,
    near: { readonly owner: LinkOwner; readonly address: string },
    far: { readonly owner: LinkOwner; readonly address: string },
  ): readonly [near: LinkEnd, far: LinkEnd] {
    const one = new LinkEnd(space, near.owner, far.owner.self, far.address, "outbound");
    const two = new LinkEnd(space, far.owner, near.owner.self, near.address, "inbound");
    one.#other = two;
    two.#other = one;
    return [one, two];
  }

  /** @throws Error before the pair is made */
  get other(): LinkEnd {
    if (this.#other === undefined) throw new Error("a link has two ends");
    return this.#other;
  }

  /** @returns how much of the kind is on the way */
  queuedBytes(what: string): number {
    return this.#queued.get(what) ?? 0;
  }

  /** @returns false when so much waits already that this does not fit */
  fits(what: string, bytes: number, bytesMax: number): boolean {
    const queued = this.#queued.get(what) ?? 0;
    return queued === 0 || queued + Math.max(bytes, COST_BYTES_MIN) <= bytesMax;
  }

  /**
   * Sends a frame; `arrive` is called at the other end, with that end, unless the link is gone by then.
   * @param payload its bytes, or how many they are
   */
  transmit(what: string, payload: Uint8Array | number, arrive: (end: LinkEnd) => void): void {
    const other = this.#other;
    if (!this.open || other === undefined) return;
    const bytes = typeof payload === "number" ? payload : payload.length;
    const cost = Math.max(bytes, COST_BYTES_MIN);
    this.#queued.set(what, (this.#queued.get(what) ?? 0) + cost);
    const nowMs = this.#space.clock.monotonicMs();
    const { atMs, freeAtMs, breaks } = this.#space.travel(
      this.owner.self,
      this.link.peer,
      bytes,
      this.#freeAtMs,
    );
    this.#freeAtMs = freeAtMs;
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, atMs, nowMs);
    this.#space.at(this.#arrivesAtMs, () => {
      if (breaks) this.cut();
      else if (other.#standsStill)
        (other.#stalled ??= []).push(() => other.#arrived(this, what, cost, payload, arrive));
      else other.#arrived(this, what, cost, payload, arrive);
    });
  }

  /** Sends a message that keeps to no order and to no bound: later ones may pass it. */
  scatter(delayMs: number, payload: Uint8Array, arrive: (end: LinkEnd) => void): void {
    const other = this.#other;
    if (!this.open || other === undefined) return;
    const [from, to] = [this.owner.self, this.link.peer];
    const { atMs } = this.#space.travel(from, to, payload.length, 0);
    this.#space.at(atMs + delayMs, () => {
      if (!other.open || other.#abandoned || other.#severed) return;
      this.#space.arrived(from, to, payload);
      arrive(other);
    });
  }

  /** @returns the id under which it is settled, or fails when the link goes */
  hold(waiting: Waiting): number {
    const id = ++this.#lastId;
    this.#waiting ??= new Map();
    this.#waiting.set(id, waiting);
    return id;
  }

  /** @returns the id under which an answer comes @param timeoutMs after which none is waited for */
  expect(timeoutMs: number, waiting: Waiting): number {
    const id = this.hold(waiting);
    this.#space.at(this.#space.clock.monotonicMs() + timeoutMs, () => {
      const error = new NetworkError("network.timeout", `no answer in ${timeoutMs} ms`);
      this.settle(id)?.reject(error);
    });
    return id;
  }

  /** @returns who waits for that answer, once */
  settle(id: number): Waiting | undefined {
    const waiting = this.#waiting?.get(id);
    this.#waiting?.delete(id);
    return waiting;
  }

  /** @returns what ends it */
  onClose(listener: (error: NetworkError) => void): () => void {
    this.#onClose ??= new Set();
    this.#onClose.add(listener);
    return () => this.#onClose?.delete(listener);
  }

  /** Ends the link in an orderly way: what was sent before arrives before the other side hears of the end. */
  close(): void {
    this.transmit("", 0, (other) => other.gone());
    this.gone();
  }

  /** Both ends go at once, with what is on the way. */
  cut(): void {
    this.gone();
    this.#other?.gone();
  }

  /** This end goes without a word; the other one does not know. */
  gone(): void {
    if (!this.open) return;
    this.open = false;
    this.#tellOfEnd();
    this.owner.ended(this);
  }

  #tellOfEnd(): void {
    const waiting = this.#waiting?.size ? [...this.#waiting.values()] : [];
    const listeners = this.#onClose ?? [];
    this.#waiting = undefined;
    if (waiting.length === 0 && this.#onClose === undefined) return;
    const error = new NetworkError("network.closed", `the link to ${this.link.peer} is gone`);
    for (const { reject } of waiting) reject(error);
    for (const listener of listeners) listener(error);
  }

  /** The owner is dead: nobody hears of anything any more, and nothing that comes is taken off the line. */
  abandon(): void {
    this.open = false;
    this.#abandoned = true;
    this.#waiting = undefined;
    this.#onClose = undefined;
  }

  /** The way is open again: what stalled arrives first. */
  healed(): void {
    if (this.#stalled === undefined) return;
    const { atMs } = this.#space.travel(this.owner.self, this.link.peer, 0, 0);
    this.#heldUntilMs = atMs;
    this.#space.at(atMs, () => {
      if (this.#severed) return;
      const stalled = this.#stalled ?? [];
      this.#stalled = undefined;
      for (const arrive of stalled) arrive();
    });
  }

  get #severed(): boolean {
    return this.#space.apart(this.link.peer, this.owner.self);
  }

  /** Nothing gets through, or what came before has not got through yet. */
  get #standsStill(): boolean {
    const { clock } = this.#space;
    const held = this.#stalled !== undefined && clock.monotonicMs() <= this.#heldUntilMs;
    return held || this.#severed;
  }

  #arrived(
    from: LinkEnd,
    what: string,
    cost: number,
    payload: Uint8Array | number,
    arrive: (end: LinkEnd) => void,
  ): void {
    if (this.#abandoned) return;
    from.#queued.set(what, (from.#queued.get(what) ?? 0) - cost);
    if (!this.open) return;
    this.#space.arrived(this.link.peer, this.owner.self, payload);
    arrive(this);
  }
}
