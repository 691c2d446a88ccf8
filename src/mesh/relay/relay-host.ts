import type { Clock, Timer } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Guest } from "./guest.ts";
import { HostDesk } from "./host-desk.ts";
import { HostJournal } from "./host-journal.ts";
import { HostLeases } from "./host-leases.ts";
import { type Offer, type Withdrawal, wayOf } from "./offer.ts";
import type { RelayOptions } from "./options.ts";
import { RefusalEvents } from "./refusal-events.ts";
import { ReportDesk } from "./report-desk.ts";
import { RequestDesk, SESSION_OVER } from "./request-desk.ts";
import type { RelayGuestStatus } from "./view.ts";

const SWEEP_EVERY_MS = 600_000;

/** What a {@link RelayHost} is made of. */
export interface RelayHostParts {
  readonly self: PeerId;
  readonly agentId: string;
  readonly options: RelayOptions;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  /** @returns the name that an agent of the mesh goes by, where it is known */
  readonly agentIdOf: (peer: PeerId) => string | undefined;
  /** How long a commit waits for company, as flash wear asks for. */
  readonly lingerMs: () => number;
}

/**
 * The host's side of relaying: takes updates of guests, has them on disk before it says so, gives them to the uplinks
 * in turn, and tells the guests what has been delivered. This looks after who is relayed for, and over which way.
 */
export class RelayHost {
  readonly #parts: RelayHostParts;
  readonly #desk: HostDesk;
  readonly #journal: HostJournal;
  readonly #reports: ReportDesk;
  readonly #refusals: RefusalEvents;
  /** Updates of guests on their way to the uplinks. */
  readonly leases: HostLeases;
  /** Answers what guests ask. */
  readonly requests: RequestDesk;
  #forgotten = 0;
  #sweeper: Timer | undefined;

  constructor(parts: RelayHostParts) {
    const { self, clock, store, events } = parts;
    this.#parts = parts;
    this.#desk = new HostDesk(parts, clock.monotonicMs(), {
      code: "relay.no-uplink",
      detail: "the neighbour has just started",
      retryAfterMs: 1_000,
    });
    this.#journal = new HostJournal({ ...parts, outdated: () => this.#forgetAll() });
    this.#reports = new ReportDesk(clock, () => wayOf(self, this.#desk.offer));
    this.#refusals = new RefusalEvents(events);
    const desks = { desk: this.#desk, journal: this.#journal, reports: this.#reports };
    const unreadable = (guest: Guest): Promise<void> => this.#forget(guest);
    this.leases = new HostLeases({ ...desks, store, unreadable });
    const refusals = this.#refusals;
    this.requests = new RequestDesk({ ...parts, ...desks, leases: this.leases, refusals });
  }

  /** Reads what was kept, and begins to look after it. @throws StoreError */
  async start(): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const damaged = await this.#journal.load((kept) => this.#desk.restore(kept, nowMs));
    for (const guest of damaged) await this.#forget(guest);
    this.#sweepLater();
    this.leases.restored();
  }

  /** Writes what is pending; guests are told to look for somebody else. @throws StoreError */
  async stop(): Promise<void> {
    this.#sweeper?.cancel();
    this.setOffer({
      code: "relay.stopping",
      detail: "the neighbour is stopping",
      retryAfterMs: 15_000,
    });
    await this.#journal.close();
  }

  /** Relays from now on, over this way, or does no more. */
  setOffer(offer: Offer | Withdrawal): void {
    this.#desk.offer = offer;
    this.#reports.offerChanged();
  }

  get loadPercent(): number {
    return this.#desk.loadPercent;
  }

  /** Guests' updates can be stored, as far as is known. */
  get storeWorks(): boolean {
    return this.#journal.works;
  }

  /** Updates that were lost with the store; their guests hand them over again. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get bytes(): number {
    return this.#desk.bytes;
  }

  /** The last link to a peer is gone. */
  linkDown(peer: PeerId): void {
    const guest = this.#desk.guests.get(peer);
    if (guest === undefined || guest.session === 0) return;
    guest.session = 0;
    this.#reports.leave(peer);
    const { agentId } = guest;
    this.#parts.events.emit("relay.guest-left", { peerId: peer, agentId });
  }

  status(): readonly RelayGuestStatus[] {
    const wallMs = this.#parts.clock.wallMs();
    return [...this.#desk.guests.values()].map((guest) => {
      const { counters, queue } = guest;
      return {
        peerId: guest.peer,
        agentId: guest.agentId,
        connected: guest.session !== 0,
        seenMsAgo: Math.max(0, wallMs - guest.seenAtMs),
        updates: queue.count,
        bytes: guest.bytes,
        streams: guest.streams.size,
        ...counters,
        refused: { ...counters.refused },
      };
    });
  }

  /** Something of it is not there any more: the guest has it all, and hands it over again in order. */
  async #forget(guest: Guest): Promise<void> {
    this.#lose(guest);
    await this.#journal.forget(guest);
  }

  #forgetAll(): void {
    for (const guest of this.#desk.guests.values()) this.#lose(guest);
  }

  #lose(guest: Guest): void {
    const { logger, events } = this.#parts;
    const { peer, agentId } = guest;
    const updates = guest.queue.count;
    this.#forgotten += updates;
    logger.error("what a neighbour had handed over can not be read; it is asked for it again", {
      peerId: peer,
      updates,
    });
    events.emit("relay.forgotten", { peerId: peer, agentId, updates });
    this.#desk.guests.delete(guest.peer);
    this.leases.forget(guest);
    this.#reports.leave(guest.peer, SESSION_OVER);
  }

  #sweepLater(): void {
    const { clock } = this.#parts;
    this.#sweeper = clock.setTimer("relay.sweep", SWEEP_EVERY_MS, () => {
      this.#refusals.forgetOld(clock.monotonicMs());
      for (const guest of this.#desk.forgetOld(clock.wallMs())) this.#journal.drop(guest);
      this.#sweepLater();
    });
  }
}
