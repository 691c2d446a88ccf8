import type { Clock } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { Logger } from "../../platform/logger.ts";
import { Refused } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type {
  RelayBatch,
  RelayMark,
  RelayPoll,
  RelayRequest,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import { readBatch } from "./batch-codec.ts";
import type { Guest, StreamProgress } from "./guest.ts";
import { type HostDesk, type Refusal, UPDATE_BYTES_MAX } from "./host-desk.ts";
import type { HostJournal } from "./host-journal.ts";
import type { HostLeases } from "./host-leases.ts";
import { wayOf } from "./offer.ts";
import type { RefusalEvents } from "./refusal-events.ts";
import { BATCH_BYTES_MAX, decodeRequest, encodeAnswer, tell } from "./relay-codec.ts";
import { streamKey } from "./relayed-update.ts";
import type { ReportDesk } from "./report-desk.ts";

/** What a {@link RequestDesk} works with. */
interface RequestParts {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly desk: HostDesk;
  readonly journal: HostJournal;
  readonly leases: HostLeases;
  readonly reports: ReportDesk;
  readonly refusals: RefusalEvents;
}

/** Updates of guests that stay in memory on their way, so that they can leave without being read back. */
const LOADED_BYTES_MAX = 4_194_304;

/** The guest is not known, or has begun another session since. */
export const SESSION_OVER: Refusal = {
  code: "relay.session",
  detail: "the session is over; begin another one",
  retryAfterMs: 0,
};

const NOT_STORED: Refusal = {
  code: "relay.store",
  detail: "the neighbour can not write its disk",
  retryAfterMs: 15_000,
};

/** Answers guests, one question of each after the other: a batch once it is on disk, a poll once there is news. */
export class RequestDesk {
  readonly #parts: RequestParts;
  readonly #turns = new Map<PeerId, Promise<unknown>>();

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @returns the answer to what a guest asks @throws Refused for what is no question */
  answer(from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    const body = decodeRequest(bytes);
    if (body?.case === undefined)
      throw new Refused("relay.malformed", "the request can not be read");
    // It waits for what happens meanwhile.
    if (body.case === "poll") return this.#poll(from, body.value);
    return this.#inTurn(from, () => this.#answer(from, body));
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
    const { self, clock, random, events, logger, desk, journal, reports } = this.#parts;
    const session = 1 + Math.floor(random.next() * 0xffff_fffe);
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const met = desk.hello(from, agentId, session, now);
    if ("code" in met) {
      this.#refused({ peer: from, agentId }, met);
      return refusalAnswer(met);
    }
    const { guest, isNew, gone } = met;
    if (gone !== undefined) journal.drop(gone);
    journal.noteGuest(guest);
    reports.leave(from);
    if (isNew) {
      events.emit("relay.guest-joined", { peerId: from, agentId });
      logger.info("relays for a neighbour", { peerId: from, agentId });
    }
    const { route, passedMax } = wayOf(self, desk.offer);
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
    const { clock, desk, journal, leases } = this.#parts;
    const updates = readBatch(batch);
    const last = guest.peer;
    if (updates === undefined || !updates.every(({ path }) => path.at(-1) === last))
      throw new Refused("relay.malformed", "the batch can not be read");
    const admission = desk.admit(guest, updates, clock.monotonicMs());
    const { accepted, unfit, settled, evicted } = admission;
    for (const gone of evicted) journal.evict(gone);
    let { taken, refusal } = admission;
    if (accepted.length > 0) {
      const loaded = this.#loadedBytes < LOADED_BYTES_MAX;
      if (await journal.append(guest, accepted, loaded)) {
        guest.counters.taken += accepted.length;
        for (const { payload } of accepted) guest.counters.takenBytes += payload.length;
        leases.added(guest);
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
    const { journal, reports } = this.#parts;
    const guest = this.#guestOf(from, session);
    if (guest === undefined) return Promise.resolve(refusalAnswer(SESSION_OVER));
    for (const progress of guest.heard(received)) journal.noteStream(guest, progress);
    return reports.poll(guest);
  }

  #guestOf(peer: PeerId, session: number): Guest | undefined {
    const guest = this.#parts.desk.guests.get(peer);
    return guest !== undefined && session !== 0 && guest.session === session ? guest : undefined;
  }

  get #loadedBytes(): number {
    let sum = 0;
    for (const { queue } of this.#parts.desk.guests.values()) sum += queue.loadedBytes;
    return sum;
  }

  #refused(whom: Pick<Guest, "peer" | "agentId">, refusal: Refusal): void {
    const { clock, desk, refusals } = this.#parts;
    const { code } = refusal;
    const counts = desk.guests.get(whom.peer)?.counters.refused;
    if (counts !== undefined) counts[code] = (counts[code] ?? 0) + 1;
    refusals.refused(whom, refusal, clock.monotonicMs());
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
}

function refusalAnswer({ code, detail, retryAfterMs }: Refusal): Uint8Array {
  return encodeAnswer({ case: "refusal", value: { code, detail, retryAfterMs } });
}
