import type { Clock, Timer } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { OutboundUpdate } from "../../platform/uplink-connection.ts";
import type {
  RelayBatch,
  RelayMark,
  RelayPoll,
  RelayRequest,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import { decodeStored, readBatch } from "./batch-codec.ts";
import type { Guest, StreamProgress } from "./guest.ts";
import type { Chunk } from "./guest-queue.ts";
import { HostDesk, type Refusal, UPDATE_BYTES_MAX } from "./host-desk.ts";
import { HostJournal } from "./host-journal.ts";
import { chunkKey } from "./host-store.ts";
import type { Offer, Withdrawal } from "./offer.ts";
import type { RelayOptions } from "./options.ts";
import { BATCH_BYTES_MAX, decodeRequest, encodeAnswer, tell } from "./relay-codec.ts";
import { type RelayedUpdate, streamKey } from "./relayed-update.ts";
import { ReportDesk } from "./report-desk.ts";
import type { RelayGuestStatus } from "./view.ts";

/** Updates of guests that stay in memory on their way, so that they can leave without being read back. */
const LOADED_BYTES_MAX = 4_194_304;
/** The same refusal of one guest is an event once in so long. */
const EVENT_GAP_MS = 60_000;
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
 * in turn, and tells the guests what has been delivered.
 */
export class RelayHost {
  readonly #parts: RelayHostParts;
  readonly #desk: HostDesk;
  readonly #journal: HostJournal;
  readonly #reports: ReportDesk;
  /** One thing after the other for each guest. */
  readonly #turns = new Map<PeerId, Promise<unknown>>();
  readonly #leased = new Map<OutboundUpdate, { guest: Guest; update: RelayedUpdate }>();
  readonly #waiting = new Map<PeerId, number>();
  #forgotten = 0;
  readonly #toldAtMs = new Map<string, number>();
  #onWaiting: () => void = () => undefined;
  #sweeper: Timer | undefined;

  constructor(parts: RelayHostParts) {
    const { clock } = parts;
    this.#parts = parts;
    this.#desk = new HostDesk(parts, clock.monotonicMs(), {
      code: "relay.no-uplink",
      detail: "the neighbour has just started",
      retryAfterMs: 1_000,
    });
    this.#journal = new HostJournal({ ...parts, outdated: () => this.#forgetAll() });
    this.#reports = new ReportDesk(clock, () => this.#way);
  }

  /** Reads what was kept, and begins to look after it. @throws StoreError */
  async start(): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const damaged = await this.#journal.load((kept) => this.#desk.restore(kept, nowMs));
    for (const guest of damaged) await this.#forget(guest);
    for (const guest of this.#desk.guests.values()) this.#count(guest);
    this.#sweepLater();
    if (this.#waiting.size > 0) this.#onWaiting();
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

  /** What a guest asks. @throws Refused for what is no question */
  request(from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    const body = decodeRequest(bytes);
    if (body?.case === undefined)
      throw new Refused("relay.malformed", "the request can not be read");
    // It waits for what happens meanwhile.
    if (body.case === "poll") return this.#poll(from, body.value);
    return this.#inTurn(from, () => this.#answer(from, body));
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

  /** Updates that could be leased, by guest. */
  waiting(): ReadonlyMap<PeerId, number> {
    return this.#waiting;
  }

  /** Leases updates of one guest, in its order. One call at a time. @throws StoreError */
  async lease(peer: PeerId, limit: number): Promise<readonly OutboundUpdate[]> {
    for (;;) {
      const guest = this.#desk.guests.get(peer);
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
    for (const guest of this.#desk.guests.values()) {
      guest.queue.rewind();
      this.#count(guest);
    }
  }

  /** Calls `listener` whenever there is more to lease. */
  onWaiting(listener: () => void): void {
    this.#onWaiting = listener;
  }

  /** Peers that hand over now. */
  guests(): ReadonlySet<PeerId> {
    const guests = [...this.#desk.guests.values()].filter(({ session }) => session !== 0);
    return new Set(guests.map(({ peer }) => peer));
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

  async #answer(
    from: PeerId,
    body: Exclude<RelayRequest["body"], { case: undefined } | { case: "poll" }>,
  ): Promise<Uint8Array> {
    if (body.case === "hello") return this.#hello(from, body.value.agentId);
    const guest = this.#guestOf(from, body.value.session);
    if (guest === undefined) return refusalAnswer(SESSION_OVER);
    return body.case === "batch"
      ? this.#take(guest, body.value)
      : this.#marks(guest, body.value.streams);
  }

  #hello(from: PeerId, agentId: string): Uint8Array {
    const { clock, random, events, logger } = this.#parts;
    const session = 1 + Math.floor(random.next() * 0xffff_fffe);
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const met = this.#desk.hello(from, agentId, session, now);
    if ("code" in met) {
      this.#refused({ peer: from, agentId }, met);
      return refusalAnswer(met);
    }
    const { guest, isNew, gone } = met;
    if (gone !== undefined) this.#journal.drop(gone);
    this.#journal.noteGuest(guest);
    this.#reports.leave(from);
    if (isNew) {
      events.emit("relay.guest-joined", { peerId: from, agentId });
      logger.info("relays for a neighbour", { peerId: from, agentId });
    }
    const { route, passedMax } = this.#way;
    const bounds = { batchBytesMax: BATCH_BYTES_MAX, updateBytesMax: UPDATE_BYTES_MAX, passedMax };
    return encodeAnswer({ case: "welcome", value: { session, route, ...bounds } });
  }

  #marks(guest: Guest, streams: readonly string[]): Uint8Array {
    const { agentId } = guest;
    const known = streams.flatMap(
      (stream) => guest.streams.get(streamKey({ agentId, stream })) ?? [],
    );
    return encodeAnswer({ case: "marks", value: { marks: this.#tell(guest, known) } });
  }

  async #take(guest: Guest, batch: RelayBatch): Promise<Uint8Array> {
    const updates = readBatch(batch);
    const last = guest.peer;
    if (updates === undefined || !updates.every(({ path }) => path.at(-1) === last))
      throw new Refused("relay.malformed", "the batch can not be read");
    const admission = this.#desk.admit(guest, updates, this.#parts.clock.monotonicMs());
    const { accepted, unfit, settled, evicted } = admission;
    for (const gone of evicted) this.#journal.evict(gone);
    let { taken, refusal } = admission;
    if (accepted.length > 0) {
      const loaded = this.#loadedBytes < LOADED_BYTES_MAX;
      if (await this.#journal.append(guest, accepted, loaded)) {
        guest.counters.taken += accepted.length;
        for (const { payload } of accepted) guest.counters.takenBytes += payload.length;
        this.#count(guest);
        this.#onWaiting();
      } else [taken, refusal] = [0, NOT_STORED];
    }
    guest.counters.repeated += admission.repeated;
    if (refusal !== undefined) this.#refused(guest, refusal);
    const within = unfit.filter(({ index }) => index < taken);
    return encodeAnswer({
      case: "receipt",
      value: {
        taken,
        unfit: within,
        marks: this.#tell(guest, settled),
        ...(refusal !== undefined && { refusal }),
      },
    });
  }

  /** @returns what fits into an answer; the rest is told with the next report */
  #tell(guest: Guest, streams: Iterable<StreamProgress>): RelayMark[] {
    const { marks, left } = tell(streams);
    for (const progress of left) guest.remind(progress);
    return [...marks];
  }

  #poll(from: PeerId, { session, received }: RelayPoll): Promise<Uint8Array> {
    const guest = this.#guestOf(from, session);
    if (guest === undefined) return Promise.resolve(refusalAnswer(SESSION_OVER));
    for (const progress of guest.heard(received)) this.#journal.noteStream(guest, progress);
    return this.#reports.poll(guest);
  }

  /** As guests see it: this agent first. */
  get #way(): { route: string[]; passedMax: number; withdrawn?: Withdrawal } {
    const { offer } = this.#desk;
    return "code" in offer
      ? { route: [this.#parts.self], passedMax: 0, withdrawn: offer }
      : { route: [this.#parts.self, ...offer.route], passedMax: offer.passedMax };
  }

  #guestOf(peer: PeerId, session: number): Guest | undefined {
    const guest = this.#desk.guests.get(peer);
    return guest !== undefined && session !== 0 && guest.session === session ? guest : undefined;
  }

  #settle(leased: OutboundUpdate, refusal: string | undefined): void {
    const { guest, update } = this.#leased.get(leased) ?? {};
    this.#leased.delete(leased);
    if (guest === undefined || update === undefined) return;
    const { done, further } = guest.settle(update, refusal);
    this.#journal.settled(guest, done, further);
    this.#count(guest);
    if (further.size > 0) this.#reports.news(guest.peer);
  }

  async #read(guest: Guest, chunk: Chunk): Promise<void> {
    const value = await this.#parts.store.get(chunkKey(guest, chunk));
    const updates = value && decodeStored(value);
    if (updates?.length === chunk.count) guest.queue.offer(chunk, updates);
    else if (this.#desk.guests.get(guest.peer) === guest) await this.#forget(guest);
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
    this.#waiting.delete(guest.peer);
    for (const [leased, { guest: owner }] of this.#leased)
      if (owner === guest) this.#leased.delete(leased);
    this.#reports.leave(guest.peer, SESSION_OVER);
  }

  #count(guest: Guest): void {
    const { available } = guest.queue;
    if (available > 0 && this.#desk.guests.get(guest.peer) === guest)
      this.#waiting.set(guest.peer, available);
    else this.#waiting.delete(guest.peer);
  }

  get #loadedBytes(): number {
    let sum = 0;
    for (const { queue } of this.#desk.guests.values()) sum += queue.loadedBytes;
    return sum;
  }

  #refused(whom: Pick<Guest, "peer" | "agentId">, { code, detail, retryAfterMs }: Refusal): void {
    const { peer, agentId } = whom;
    const counts = this.#desk.guests.get(peer)?.counters.refused;
    if (counts !== undefined) counts[code] = (counts[code] ?? 0) + 1;
    const nowMs = this.#parts.clock.monotonicMs();
    const key = `${peer} ${code}`;
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < EVENT_GAP_MS) return;
    // Whoever makes up ever new names is told of once a minute in all.
    if (this.#toldAtMs.size > 1_024) return;
    this.#toldAtMs.set(key, nowMs);
    const data = { peerId: peer, agentId, code, reason: detail, retryAfterMs };
    this.#parts.events.emit("relay.refused", data);
  }

  async #inTurn<T>(peer: PeerId, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(peer) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(peer, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(peer) === turn) this.#turns.delete(peer);
    }
  }

  #sweepLater(): void {
    const { clock } = this.#parts;
    this.#sweeper = clock.setTimer("relay.sweep", SWEEP_EVERY_MS, () => {
      const nowMs = clock.monotonicMs();
      for (const [key, atMs] of this.#toldAtMs)
        if (nowMs - atMs >= EVENT_GAP_MS) this.#toldAtMs.delete(key);
      for (const guest of this.#desk.forgetOld(clock.wallMs())) this.#journal.drop(guest);
      this.#sweepLater();
    });
  }
}

const SESSION_OVER: Refusal = {
  code: "relay.session",
  detail: "the session is over; begin another one",
  retryAfterMs: 0,
};

const NOT_STORED: Refusal = {
  code: "relay.store",
  detail: "the neighbour can not write its disk",
  retryAfterMs: 15_000,
};

function refusalAnswer({ code, detail, retryAfterMs }: Refusal): Uint8Array {
  return encodeAnswer({ case: "refusal", value: { code, detail, retryAfterMs } });
}
