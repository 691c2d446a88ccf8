import type { Outbox } from "../outbox/outbox.ts";
import type { OutboundUpdate } from "../platform/uplink-connection.ts";
import { type Contender, FairShare } from "./fair-share.ts";

/** Updates that other agents have handed over, to leave through the uplinks of this one. */
export interface GuestUpdates {
  /** Updates that could be leased, by guest. */
  waiting(): ReadonlyMap<string, number>;
  /** Leases updates of one guest, in its order. One call at a time. @throws StoreError */
  lease(guest: string, limit: number): Promise<readonly OutboundUpdate[]>;
  acknowledge(update: OutboundUpdate): void;
  /** The receiver will never take it. */
  refuse(update: OutboundUpdate, reason: string): void;
  /** The connection is gone: everything leased and not acknowledged can be leased again, in order. */
  rewind(): void;
  /** Calls `listener` whenever there is more. */
  onWaiting(listener: () => void): void;
}

/** What an uplink takes. */
export interface Passage {
  /** Updates of a lower priority wait. */
  readonly priorityMin: number;
  /** Whether updates of other agents can travel. */
  readonly guests: boolean;
}

/** Of one contender at a time: small enough to be fair within a window, large enough to be cheap. */
const PIECE_UPDATES_MAX = 64;
/** What an update costs on the wire beside its payload, roughly: empty ones are not free. */
const OVERHEAD_BYTES = 128;
const OWN = "";

/**
 * Everything that wants to leave: this agent's own updates, and those of its guests where it relays. Among them the
 * bytes are shared out fairly; the own ones weigh more. Guests' updates leave when all may leave: none of them wakes
 * the radio of a host that saves power.
 */
export class Departures {
  readonly outbox: Outbox;
  readonly #guests: GuestUpdates | undefined;
  readonly #ownWeight: number;
  readonly #shares = new FairShare();
  /** Leased ones that are not the outbox's; as many as the uplink's window at most. */
  readonly #leased = new Set<OutboundUpdate>();

  constructor(
    outbox: Outbox,
    guests?: { readonly updates: GuestUpdates; readonly ownWeight: number },
  ) {
    this.outbox = outbox;
    this.#guests = guests?.updates;
    this.#ownWeight = guests?.ownWeight ?? 1;
  }

  /** Calls `listener` whenever there is more, or room for sending may have come about. */
  onMore(listener: () => void): void {
    this.outbox.onAppended(listener);
    this.#guests?.onWaiting(listener);
  }

  available(passage: Passage): number {
    return this.outbox.available(passage.priorityMin) + this.#guestsWaiting(passage);
  }

  /** As {@link available}, but however much guests have, it counts as one: their number is no reason to hurry. */
  pressing(passage: Passage): number {
    const guests = Math.min(1, this.#guestsWaiting(passage));
    return this.outbox.available(passage.priorityMin) + guests;
  }

  /** Leases up to `limit` updates. Only one call may be under way at a time. @throws StoreError */
  async lease(limit: number, passage: Passage): Promise<readonly OutboundUpdate[]> {
    const { outbox } = this;
    const { priorityMin } = passage;
    if (this.#guestsWaiting(passage) === 0) return outbox.lease(limit, priorityMin);
    const leased: OutboundUpdate[] = [];
    /** What waits may turn out to have expired, or to be lost. */
    const empty = new Set<string>();
    while (leased.length < limit) {
      const turn = this.#shares.next(this.#contenders(passage, empty));
      if (turn === undefined) break;
      const piece = Math.min(PIECE_UPDATES_MAX, limit - leased.length);
      const updates = await this.#leaseOf(turn.id, piece, priorityMin);
      if (updates.length === 0) empty.add(turn.id);
      let bytes = 0;
      for (const update of updates) {
        leased.push(update);
        bytes += update.payload.length + OVERHEAD_BYTES;
      }
      this.#shares.spent(turn, bytes);
    }
    return leased;
  }

  isOwn(update: OutboundUpdate): boolean {
    return !this.#leased.has(update);
  }

  /** The receiver has it. */
  acknowledge(update: OutboundUpdate): void {
    if (this.#leased.delete(update)) this.#guests?.acknowledge(update);
    else this.outbox.acknowledge(update);
  }

  /** The receiver will never take it. */
  refuse(update: OutboundUpdate, reason: string): void {
    if (this.#leased.delete(update)) this.#guests?.refuse(update, reason);
    else this.outbox.refuse(update, "receiver.refused", reason);
  }

  /** Everything leased and not acknowledged can be leased again, in order. */
  rewind(): void {
    this.#leased.clear();
    this.outbox.rewind();
    this.#guests?.rewind();
  }

  #guestsWaiting({ priorityMin, guests }: Passage): number {
    if (!guests || priorityMin > 0 || this.#guests === undefined) return 0;
    let sum = 0;
    for (const updates of this.#guests.waiting().values()) sum += updates;
    return sum;
  }

  #contenders({ priorityMin }: Passage, empty: ReadonlySet<string>): Contender[] {
    const waiting = this.#guests?.waiting() ?? new Map<string, number>();
    const contenders: Contender[] = [];
    if (this.outbox.available(priorityMin) > 0 && !empty.has(OWN))
      contenders.push({ id: OWN, weight: this.#ownWeight });
    for (const [id, updates] of waiting)
      if (updates > 0 && !empty.has(id)) contenders.push({ id, weight: 1 });
    this.#shares.keep(new Set([OWN, ...waiting.keys()]));
    return contenders;
  }

  async #leaseOf(
    id: string,
    limit: number,
    priorityMin: number,
  ): Promise<readonly OutboundUpdate[]> {
    if (id === OWN) return this.outbox.lease(limit, priorityMin);
    const updates = (await this.#guests?.lease(id, limit)) ?? [];
    for (const update of updates) this.#leased.add(update);
    return updates;
  }
}
