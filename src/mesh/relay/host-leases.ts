import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { OutboundUpdate } from "../../platform/uplink-connection.ts";
import { decodeStored } from "./batch-codec.ts";
import type { Guest } from "./guest.ts";
import type { Chunk } from "./guest-queue.ts";
import type { HostDesk } from "./host-desk.ts";
import type { HostJournal } from "./host-journal.ts";
import { chunkKey } from "./host-store.ts";
import type { RelayedUpdate } from "./relayed-update.ts";
import type { ReportDesk } from "./report-desk.ts";

/** What {@link HostLeases} are made of. */
interface LeasesParts {
  readonly store: KeyValueStore;
  readonly desk: Pick<HostDesk, "guests">;
  readonly journal: Pick<HostJournal, "settled">;
  readonly reports: Pick<ReportDesk, "news">;
  /** Something of the guest is not on disk any more, or damaged. */
  readonly unreadable: (guest: Guest) => Promise<void>;
}

/** Guests' updates on their way through the uplinks: lent out, and settled or taken back. */
export class HostLeases {
  readonly #parts: LeasesParts;
  readonly #leased = new Map<OutboundUpdate, { guest: Guest; update: RelayedUpdate }>();
  readonly #waiting = new Map<PeerId, number>();
  #onWaiting: () => void = () => undefined;

  constructor(parts: LeasesParts) {
    this.#parts = parts;
  }

  /** Updates that could be leased, by guest. */
  waiting(): ReadonlyMap<PeerId, number> {
    return this.#waiting;
  }

  /** Calls `listener` whenever there is more to lease. */
  onWaiting(listener: () => void): void {
    this.#onWaiting = listener;
  }

  /** Leases updates of one guest, in its order. One call at a time. @throws StoreError */
  async lease(peer: PeerId, limit: number): Promise<readonly OutboundUpdate[]> {
    for (;;) {
      const guest = this.#parts.desk.guests.get(peer);
      if (guest === undefined) return [];
      const { updates, missing } = guest.queue.lease(limit);
      for (const update of updates) this.#leased.set(update, { guest, update });
      this.#count(guest);
      if (missing === undefined || updates.length > 0) return updates;
      await this.#read(guest, missing);
    }
  }

  /** It has arrived upstream. */
  acknowledge(update: OutboundUpdate): void {
    this.#settle(update, undefined);
  }

  /** The receiver upstream will never take it. */
  refuse(update: OutboundUpdate, reason: string): void {
    this.#settle(update, reason);
  }

  /** Everything that was leased and has not settled can be leased again. */
  rewind(): void {
    this.#leased.clear();
    for (const guest of this.#parts.desk.guests.values()) {
      guest.queue.rewind();
      this.#count(guest);
    }
  }

  /** What was kept on disk waits from now on. */
  restored(): void {
    for (const guest of this.#parts.desk.guests.values()) this.#count(guest);
    if (this.#waiting.size > 0) this.#onWaiting();
  }

  /** More of the guest is on disk. */
  added(guest: Guest): void {
    this.#count(guest);
    this.#onWaiting();
  }

  /** Nothing of the guest waits any more, and what becomes of its updates on their way is of no interest. */
  forget(guest: Guest): void {
    this.#waiting.delete(guest.peer);
    for (const [leased, { guest: owner }] of this.#leased)
      if (owner === guest) this.#leased.delete(leased);
  }

  #settle(leased: OutboundUpdate, refusal: string | undefined): void {
    const { journal, reports } = this.#parts;
    const { guest, update } = this.#leased.get(leased) ?? {};
    this.#leased.delete(leased);
    if (guest === undefined || update === undefined) return;
    const { done, further } = guest.settle(update, refusal);
    journal.settled(guest, done, further);
    this.#count(guest);
    if (further.size > 0) reports.news(guest.peer);
  }

  async #read(guest: Guest, chunk: Chunk): Promise<void> {
    const { store, desk, unreadable } = this.#parts;
    const value = await store.get(chunkKey(guest, chunk));
    const updates = value && decodeStored(value);
    if (updates?.length === chunk.count) guest.queue.offer(chunk, updates);
    else if (desk.guests.get(guest.peer) === guest) await unreadable(guest);
  }

  #count(guest: Guest): void {
    const { available } = guest.queue;
    if (available > 0 && this.#parts.desk.guests.get(guest.peer) === guest)
      this.#waiting.set(guest.peer, available);
    else this.#waiting.delete(guest.peer);
  }
}
