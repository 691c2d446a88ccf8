import type { PeerId } from "../../platform/signer.ts";
import { Allowance } from "./allowance.ts";
import { bytesInBatch, PATH_MAX, unfitness } from "./batch-codec.ts";
import { Guest, type StreamProgress } from "./guest.ts";
import type { Offer, Withdrawal } from "./offer.ts";
import type { RelayOptions } from "./options.ts";
import { streamKey, type UpdateFields } from "./relayed-update.ts";

/** Codes with which a guest is refused; they are stable. */
export type RefusalCode =
  | Withdrawal["code"]
  | "relay.guests"
  | "relay.quota"
  | "relay.rate"
  | "relay.loop"
  | "relay.streams"
  | "relay.agent-id"
  | "relay.sequence-reused"
  | "relay.session";

/** A no, and when to ask again. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly retryAfterMs: number;
}

/** What a batch comes to, before it is on disk. */
export interface Admission {
  /** So many from the front are dealt with once those accepted are on disk. */
  readonly taken: number;
  readonly accepted: readonly UpdateFields[];
  /** Known already. */
  readonly repeated: number;
  readonly unfit: readonly { readonly index: number; readonly reason: string }[];
  /** Streams of which an update came that had settled before. */
  readonly settled: ReadonlySet<StreamProgress>;
  /** Streams that gave way to new ones and are not known any more. */
  readonly evicted: readonly EvictedStream[];
  readonly refusal: Refusal | undefined;
}

/** A stream that gave way to another one. */
export interface EvictedStream {
  readonly guest: Guest;
  readonly progress: StreamProgress;
}

/** What the desk has to know. */
export interface DeskParts {
  readonly self: PeerId;
  readonly agentId: string;
  readonly options: RelayOptions;
  /** @returns the name that an agent of the mesh goes by, where it is known */
  readonly agentIdOf: (peer: PeerId) => string | undefined;
}

/** Largest payload that is taken. */
export const UPDATE_BYTES_MAX = 786_432;
/** What a chunk costs beside its updates. */
const CHUNK_BYTES = 64;
/** A guest that was there so lately keeps its place. */
const PLACE_KEPT_MS = 600_000;
const ROOM_RETRY_MS = 2_000;
const SOON_MS = 15_000;
const LATER_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * Who is relayed for, and what is taken of them: places, quotas, rates, repeats, loops. Says what is to be stored; it is
 * told when it is. Pure: time comes in, nothing goes out.
 */
export class HostDesk {
  readonly #parts: DeskParts;
  readonly guests = new Map<PeerId, Guest>();
  readonly #allowance: Allowance;
  #nextGuest = 1;
  offer: Offer | Withdrawal;

  constructor(parts: DeskParts, nowMs: number, offer: Offer | Withdrawal) {
    this.#parts = parts;
    this.#allowance = new Allowance(parts.options.bytesPerMinuteMax, nowMs);
    this.offer = offer;
  }

  /** Bytes of all guests, on disk and on their way there. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.guests.values()) sum += bytes;
    return sum;
  }

  /** Share of the room that is in use. */
  get loadPercent(): number {
    return Math.min(100, Math.round((100 * this.bytes) / this.#parts.options.bytesMax));
  }

  /** Takes over a guest that was kept on disk. */
  restore(
    about: { peer: PeerId; number: number; agentId: string; seenAtMs: number },
    nowMs: number,
  ): Guest {
    const guest = this.#newGuest(about, nowMs);
    this.#nextGuest = Math.max(this.#nextGuest, about.number + 1);
    return guest;
  }

  /**
   * A guest wants to be relayed for.
   * @param session names what begins, if it begins
   * @returns the guest, and one that gave way to it
   */
  hello(
    from: PeerId,
    agentId: string,
    session: number,
    now: { readonly monotonicMs: number; readonly wallMs: number },
  ):
    | Refusal
    | { readonly guest: Guest; readonly isNew: boolean; readonly gone: Guest | undefined } {
    const refusal = this.#helloRefusal(from, agentId);
    if (refusal !== undefined) return refusal;
    const known = this.guests.get(from);
    let gone: Guest | undefined;
    if (known === undefined && this.guests.size >= this.#parts.options.guestsMax) {
      gone = this.#idleGuest(now.wallMs);
      if (gone === undefined)
        return no("relay.guests", "the neighbour relays for as many as it can", LATER_MS);
      this.guests.delete(gone.peer);
    }
    const about = { peer: from, number: this.#nextGuest, agentId, seenAtMs: now.wallMs };
    const guest = known ?? this.restore(about, now.monotonicMs);
    guest.agentId = agentId;
    guest.seenAtMs = now.wallMs;
    const isNew = guest.session === 0;
    guest.beginSession(session);
    return { guest, isNew, gone };
  }

  /** @returns what is to be stored of a batch, and what becomes of the rest */
  admit(guest: Guest, updates: readonly UpdateFields[], nowMs: number): Admission {
    const work = new Admitting(guest, this.bytes);
    const refusal = this.#batchRefusal(guest, nowMs);
    if (refusal !== undefined) return work.end(0, refusal);
    for (const [index, update] of updates.entries()) {
      const stop = this.#admitOne(work, index, update);
      if (stop !== undefined) return this.#charged(work.end(index, stop), guest);
    }
    return this.#charged(work.end(updates.length, undefined), guest);
  }

  /** @returns guests that were not there for long, and of which nothing waits; they are forgotten from now on */
  forgetOld(wallMs: number): Guest[] {
    const untilMs = wallMs - this.#parts.options.forgetAfterDays * DAY_MS;
    const old = [...this.guests.values()].filter(
      ({ seenAtMs, queue, session }) => seenAtMs < untilMs && queue.count === 0 && session === 0,
    );
    for (const { peer } of old) this.guests.delete(peer);
    return old;
  }

  #newGuest(
    about: { peer: PeerId; number: number; agentId: string; seenAtMs: number },
    nowMs: number,
  ): Guest {
    const allowance = new Allowance(this.#parts.options.bytesPerGuestPerMinuteMax, nowMs);
    const guest = new Guest({ ...about, allowance });
    this.guests.set(about.peer, guest);
    return guest;
  }

  #helloRefusal(from: PeerId, agentId: string): Refusal | undefined {
    const { offer } = this;
    if ("code" in offer) return offer;
    if (offer.route.includes(from))
      return no("relay.loop", "the neighbour's own way leads through this agent", SOON_MS);
    if (agentId === this.#parts.agentId)
      return no("relay.agent-id", "the neighbour has the same agent.id", LATER_MS);
    const known = this.#parts.agentIdOf(from);
    if (known === undefined)
      return no("relay.agent-id", "the neighbour does not know this agent yet", ROOM_RETRY_MS);
    if (known === agentId) return undefined;
    return no("relay.agent-id", `this agent is known as ${known} in the mesh`, SOON_MS);
  }

  #batchRefusal(guest: Guest, nowMs: number): Refusal | undefined {
    if ("code" in this.offer) return this.offer;
    const waitMs = Math.max(guest.allowance.waitMs(nowMs), this.#allowance.waitMs(nowMs));
    return waitMs === 0
      ? undefined
      : no("relay.rate", "more bytes a minute than the neighbour relays", waitMs);
  }

  /** @returns why this one and all behind it are not taken */
  #admitOne(work: Admitting, index: number, update: UpdateFields): Refusal | undefined {
    const way = this.#wayRefusal(update);
    if (way !== undefined) return way;
    const reason = this.#unfitness(work.guest, update);
    if (reason !== undefined) {
      work.unfit.push({ index, reason });
      return undefined;
    }
    const known = work.guest.streams.get(streamKey(update));
    const through = work.through(update) ?? known?.storedThrough ?? 0;
    if (update.sequence > through) return this.#room(work, update, known);
    return known === undefined ? undefined : this.#admitAgain(work, index, update, known);
  }

  /** A number that was handed over before: mostly since the guest did not hear what became of it. */
  #admitAgain(
    work: Admitting,
    index: number,
    update: UpdateFields,
    known: StreamProgress,
  ): Refusal | undefined {
    const { sequence, observedAtMs, observedAtTrusted } = update;
    const dead = known.dead.find((each) => each.sequence === sequence);
    const isNew = observedAtTrusted && observedAtMs > known.storedObservedAtMs;
    if (isNew && known.storedObservedAtMs > 0) {
      // An agent on an older copy of its data gives numbers a second time. Both are to arrive, one after the other.
      if (known.waiting > 0 || work.through(update) !== undefined)
        return no("relay.sequence-reused", "other updates of these numbers wait there", SOON_MS);
      return this.#room(work, update, known);
    }
    if (dead !== undefined) work.unfit.push({ index, reason: dead.reason });
    else if (sequence > known.settledThrough) work.repeated++;
    // Without a clock nobody can tell: what is sent twice is told apart by the receiver.
    else if (!observedAtTrusted && known.waiting === 0 && work.through(update) === undefined)
      return this.#room(work, update, known);
    else {
      work.repeated++;
      work.settled.add(known);
    }
    return undefined;
  }

  #room(
    work: Admitting,
    update: UpdateFields,
    known: StreamProgress | undefined,
  ): Refusal | undefined {
    const { bytesMax, bytesPerGuestMax, streamsMax } = this.#parts.options;
    const bytes = work.bytes + bytesInBatch(update) + CHUNK_BYTES;
    if (work.guest.bytes + bytes > bytesPerGuestMax)
      return no("relay.quota", "as much as the neighbour keeps for one waits there", ROOM_RETRY_MS);
    if (work.bytesBefore + bytes > bytesMax)
      return no("relay.quota", "as much as the neighbour keeps for others waits", ROOM_RETRY_MS);
    if (known === undefined && !work.knows(update) && !this.#roomForStream(work, streamsMax))
      return no("relay.streams", "as many streams as the neighbour keeps wait there", LATER_MS);
    work.accept(update);
    return undefined;
  }

  /** Somebody's stream of which nothing has to be known any more gives way: it would only be stored twice. */
  #roomForStream(work: Admitting, streamsMax: number): boolean {
    const guests = [...this.guests.values()];
    const streams = guests.reduce((sum, guest) => sum + guest.streams.size, 0);
    if (streams + work.newStreams < streamsMax) return true;
    for (const guest of guests.toSorted((a, b) => b.streams.size - a.streams.size)) {
      const idle = guest.idleStream();
      // Those of this batch are still to come.
      if (idle === undefined || work.names(idle)) continue;
      guest.streams.delete(streamKey(idle));
      work.evicted.push({ guest, progress: idle });
      return true;
    }
    return false;
  }

  /** One that has been here before is welcome: its way has changed since, and it has one less for each turn. */
  #wayRefusal({ path }: UpdateFields): Refusal | undefined {
    const passedMax = "route" in this.offer ? this.offer.passedMax : PATH_MAX;
    if (path.length <= Math.min(PATH_MAX, passedMax)) return undefined;
    const said = `an update came through ${path.length} agents; relay.hopsMax allows ${passedMax} there`;
    return no("relay.hops", said, LATER_MS);
  }

  #unfitness(guest: Guest, update: UpdateFields): string | undefined {
    const { agentId, path } = update;
    const { self, agentId: own, agentIdOf } = this.#parts;
    const [origin = ""] = path;
    if (agentId === own && origin !== self) return "its agent.id is that of an agent on the way";
    const known = path.length === 1 ? guest.agentId : agentIdOf(origin);
    if (known !== undefined && known !== agentId) return `its agent is known as ${known}`;
    return unfitness(update, UPDATE_BYTES_MAX);
  }

  #charged(admission: Admission, guest: Guest): Admission {
    let bytes = 0;
    for (const update of admission.accepted) bytes += bytesInBatch(update);
    guest.allowance.take(bytes);
    this.#allowance.take(bytes);
    return admission;
  }

  #idleGuest(wallMs: number): Guest | undefined {
    return [...this.guests.values()]
      .filter(
        ({ queue, pendingBytes, seenAtMs }) =>
          queue.count === 0 && pendingBytes === 0 && Math.abs(wallMs - seenAtMs) > PLACE_KEPT_MS,
      )
      .toSorted((a, b) => a.seenAtMs - b.seenAtMs)[0];
  }
}

/** A batch on its way through the desk. */
class Admitting {
  readonly guest: Guest;
  /** Of all guests. */
  readonly bytesBefore: number;
  readonly unfit: { index: number; reason: string }[] = [];
  readonly settled = new Set<StreamProgress>();
  readonly evicted: EvictedStream[] = [];
  repeated = 0;
  bytes = 0;
  newStreams = 0;
  readonly #accepted: UpdateFields[] = [];
  /** The last of each stream that was accepted. */
  readonly #through = new Map<string, number>();

  constructor(guest: Guest, bytesBefore: number) {
    this.guest = guest;
    this.bytesBefore = bytesBefore;
  }

  through(update: UpdateFields): number | undefined {
    return this.#through.get(streamKey(update));
  }

  knows(update: UpdateFields): boolean {
    return this.#through.has(streamKey(update));
  }

  names(progress: StreamProgress): boolean {
    return this.#through.has(streamKey(progress)) || this.settled.has(progress);
  }

  accept(update: UpdateFields): void {
    const key = streamKey(update);
    if (!this.#through.has(key) && !this.guest.streams.has(key)) this.newStreams++;
    this.#through.set(key, update.sequence);
    this.#accepted.push(update);
    this.bytes += bytesInBatch(update);
  }

  end(taken: number, refusal: Refusal | undefined): Admission {
    const { repeated, unfit, settled, evicted } = this;
    return { taken, accepted: this.#accepted, repeated, unfit, settled, evicted, refusal };
  }
}

function no(code: RefusalCode, detail: string, retryAfterMs: number): Refusal {
  return { code, detail, retryAfterMs };
}
