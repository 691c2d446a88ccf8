import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { beats, type KnownAssignment } from "./assignment.ts";
import type { Renewal } from "./assignment-codec.ts";
import type { FleetMembers } from "./effects.ts";
import { type EndReason, endOf, type Holding } from "./holding.ts";
import type { Links } from "./links.ts";
import type { Turn } from "./turn.ts";

/** For signs of life to come in after a sleep. */
const AWAKENING_MS = 20_000;
/** Neighbours that hear of a sign of life at once: 98 % of a fleet do if each tells four; the others, when they compare. */
const RENEWAL_TELLS = 4;

interface Parts {
  readonly members: FleetMembers;
  readonly links: Links;
  readonly random: Random;
  readonly leaseMs: number;
  /** Another assignment is held from now on. */
  readonly adopted: (turn: Turn) => void;
}

/** The assignment in force, and since when. */
export interface InForce {
  readonly assignment: KnownAssignment;
  /** Since when its maker leads, and since when the maker was last heard of; monotonic milliseconds. */
  readonly makerSinceMs: number;
  readonly renewedAtMs: number;
}

/**
 * The assignment that this agent goes by: the best of all that it was shown, for as long as that is in force. One that has
 * ended stays, so that the next one gets a later term, until something takes its place.
 */
export class Mandate {
  readonly #parts: Parts;
  #held: Holding | undefined;
  #makerSinceMs = 0;
  /** The best assignment of a maker that the members do not show as living yet. */
  #waiting: Holding | undefined;
  /** Silence of others does not count before. */
  #excusedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get held(): Holding | undefined {
    return this.#held;
  }

  /** Of what is waited for. */
  get waiting(): KnownAssignment | undefined {
    return this.#waiting?.assignment;
  }

  inForce(nowMs: number): InForce | undefined {
    const held = this.#held;
    if (held === undefined || this.endOf(held, nowMs) !== undefined) return undefined;
    const { assignment, renewedAtMs } = held;
    return { assignment, makerSinceMs: this.#makerSinceMs, renewedAtMs };
  }

  /** This agent made what is in force. */
  isOwn(nowMs: number): boolean {
    return this.inForce(nowMs)?.assignment.maker === this.#parts.members.self;
  }

  endOf(holding: Holding, nowMs: number): EndReason | undefined {
    return endOf(holding, this.#parts.members, nowMs, this.#leaseUntilMs(holding));
  }

  /** When the maker's silence ends what is in force; infinity where nothing waits for that. */
  leaseEndMs(nowMs: number): number {
    const held = this.#held;
    if (held === undefined || this.isOwn(nowMs) || this.endOf(held, nowMs) !== undefined)
      return Number.POSITIVE_INFINITY;
    return this.#leaseUntilMs(held);
  }

  /** What was in force when this agent fell asleep still is, until there was time to hear otherwise. */
  slept(sinceMs: number, nowMs: number): void {
    if (this.#held !== undefined && this.endOf(this.#held, sinceMs - 1) === undefined)
      this.#excusedUntilMs = nowMs + AWAKENING_MS;
  }

  /** What this agent goes by, in short: nothing when it has ended otherwise than by its maker's word. */
  version(nowMs: number): { readonly renewal?: Renewal; readonly ageMs?: number } {
    const held = this.#held;
    if (held === undefined) return {};
    const end = this.endOf(held, nowMs);
    if (end !== undefined && end !== "resigned") return {};
    return { renewal: held.renewal, ageMs: nowMs - held.renewedAtMs };
  }

  /** Takes an assignment if it is better. @param from who brought it @returns whether it is held from now on */
  consider(turn: Turn, offer: Holding, from: PeerId | undefined): boolean {
    const { nowMs } = turn;
    const end = this.endOf(offer, nowMs);
    if (end === undefined && this.#isPreferred(offer, nowMs)) {
      this.adopt(turn, offer, from);
      return true;
    }
    const isOwn = offer.assignment.maker === this.#parts.members.self;
    // Its maker may be shown as living any moment: after a partition, each side holds the other to be dead.
    const mayCome = end === "gone" || (isOwn && end === "unfit");
    if (mayCome && (this.waiting === undefined || beats(offer.assignment, this.waiting)))
      this.#waiting = offer;
    return false;
  }

  /** The members show something else of that one. */
  reconsider(turn: Turn, maker: PeerId): void {
    const waiting = this.#waiting;
    if (waiting?.assignment.maker !== maker) return;
    this.#waiting = undefined;
    this.consider(turn, waiting, undefined);
  }

  /** Goes by it from now on, and tells everybody but the one that brought it. */
  adopt(turn: Turn, holding: Holding, from: PeerId | undefined): void {
    const { links, adopted } = this.#parts;
    const { nowMs } = turn;
    const { assignment } = holding;
    if (this.#held?.assignment.maker !== assignment.maker) this.#makerSinceMs = nowMs;
    this.#held = holding;
    if (this.waiting !== undefined && !beats(this.waiting, assignment)) this.#waiting = undefined;
    adopted(turn);
    turn.send(links.all(from), { ...this.version(nowMs), assignment });
  }

  /** A later sign of life of what is held, passed on to some; or the maker's last word, to all. */
  renew(turn: Turn, renewal: Renewal, renewedAtMs: number, from: PeerId | undefined): void {
    if (this.#held === undefined) return;
    this.#held = { ...this.#held, renewal, renewedAtMs };
    const { links, random } = this.#parts;
    const told = renewal.resigned ? links.all(from) : links.some(RENEWAL_TELLS, random, from);
    turn.send(told, { renewal, ageMs: turn.nowMs - renewedAtMs });
  }

  #isPreferred({ assignment }: Holding, nowMs: number): boolean {
    const held = this.#held;
    if (held === undefined) return true;
    if (this.endOf(held, nowMs) === undefined) return beats(assignment, held.assignment);
    // What has ended may be followed by an earlier term from the other side of a partition, but never by its own past.
    const { maker, record } = held.assignment;
    if (assignment.maker !== maker || beats(assignment, held.assignment)) return true;
    // A maker that has begun anew counts from one: it knows of no assignment of its own, and may not hear of it from those that saw it end.
    return assignment.record.epoch > record.epoch;
  }

  #leaseUntilMs({ renewedAtMs }: Holding): number {
    return Math.max(renewedAtMs + this.#parts.leaseMs, this.#excusedUntilMs);
  }
}
