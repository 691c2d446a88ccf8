import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { PeerId } from "../../platform/signer.ts";
import { readPromise } from "./founder-promise.ts";
import type { Founding } from "./founding.ts";
import { readTicket, ticketOperation } from "./kept-ticket.ts";
import type { KnownCommittee } from "./record.ts";
import { LostSeatError, type Seat, type SeatListener, type SeatMaker } from "./seat.ts";

/** What the keeper works with. */
export interface SeatKeeperParts {
  readonly self: PeerId;
  readonly store: KeyValueStore;
  readonly logger: Logger;
  readonly seats: SeatMaker;
  /** Of the seat in that group. */
  readonly listener: (group: string) => SeatListener;
  readonly onChange: (change: {
    readonly kind: "seated" | "left" | "lost";
    readonly group: string;
  }) => void;
}

/** The seat of this node: taken as what it has promised allows, and given up for good only where it is out. */
export class SeatKeeper {
  readonly #parts: SeatKeeperParts;
  #seat: Seat | undefined;
  #isLost = false;

  constructor(parts: SeatKeeperParts) {
    this.#parts = parts;
  }

  get seat(): Seat | undefined {
    return this.#seat;
  }

  /** There is to be one, and this node's disk has lost what it had promised. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Takes the seat that it had when the process ended. @throws StoreError */
  async reopen({ founding, members }: KnownCommittee): Promise<void> {
    const { seats, self } = this.#parts;
    if (await seats.isBegun(founding.group)) await this.#resume(founding);
    else if (members.includes(self)) this.#lost(founding.group);
  }

  /** Takes the seat that the record says is this node's, unless it has one. @returns whether a promise was kept by that */
  async sit({ founding, members }: KnownCommittee): Promise<boolean> {
    const { seats, self, store, listener } = this.#parts;
    const { group } = founding;
    if (this.#seat !== undefined) return false;
    const isPromised = (await readPromise(store))?.group === group;
    if (!isPromised && !members.includes(self)) {
      if (this.#isLost) await this.leave(group);
      return false;
    }
    if (await seats.isBegun(group)) await this.#resume(founding);
    else if (isPromised) await this.#take(group, () => seats.found(founding, listener(group)));
    else this.#lost(group);
    return isPromised;
  }

  /**
   * Begins as one that is about to be added. Who has begun already may be a member by now, for all that is known here: what
   * it has promised stays.
   * @param renew it begins anew all the same
   * @returns the ticket that it has begun with
   */
  async join(founding: Founding, ticket: Uint8Array, renew: boolean): Promise<Uint8Array> {
    const { seats, store, listener } = this.#parts;
    const { group } = founding;
    const begun = await readTicket(store, group);
    if (this.#seat !== undefined && begun !== undefined && !renew) return begun;
    await this.leave(group);
    await store.write([ticketOperation(group, ticket)], { durable: true });
    await this.#take(group, () => seats.join(founding, ticket, listener(group)));
    return ticket;
  }

  /** Gives the seat up for good. */
  async leave(group: string): Promise<void> {
    const seat = this.#seat;
    this.#seat = undefined;
    this.#isLost = false;
    await seat?.stop();
    await this.#parts.seats.forget(group);
    if (seat !== undefined) this.#parts.onChange({ kind: "left", group });
  }

  /** What it had promised is gone: it takes part no more. */
  async lose(group: string): Promise<void> {
    await this.#seat?.stop();
    this.#lost(group);
  }

  async #resume(founding: Founding): Promise<void> {
    const { seats, listener } = this.#parts;
    const { group } = founding;
    await this.#take(group, () => seats.resume(founding, listener(group)));
  }

  async #take(group: string, take: () => Promise<Seat>): Promise<void> {
    const { logger, onChange } = this.#parts;
    try {
      this.#seat = await take();
      this.#isLost = false;
      onChange({ kind: "seated", group });
    } catch (error) {
      if (!(error instanceof LostSeatError)) throw error;
      const reason = error.message;
      logger.error("this agent lost what it had promised as a member of the committee", {
        group,
        reason,
      });
      this.#lost(group);
    }
  }

  #lost(group: string): void {
    this.#seat = undefined;
    this.#isLost = true;
    this.#parts.onChange({ kind: "lost", group });
  }
}
