import { drawSome } from "../../platform/draw-some.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { compareBytes } from "../records/known-record.ts";
import { type News, newsBytes } from "./codec.ts";

/** Most news that waits for one neighbour; the oldest gives way, and the next comparison of tables makes up for it. */
export const PENDING_MAX = 1_024;

/** News that need not go at once goes this long after what was last said to the neighbour, so that much of it goes together. */
const SOON_MS = 1_000;

/** How news goes: at once, and then once more, since much depends on it; at once; with other news; with anything at all. */
export type Haste = "twice" | "now" | "soon" | "later";

const HASTES: readonly Haste[] = ["later", "soon", "now", "twice"];

interface Item {
  readonly about: PeerId;
  readonly news: News;
  readonly haste: Haste;
  readonly copies: number;
  /** Who told it, and who told it later: neighbours that have it from elsewhere. */
  readonly from: PeerId | undefined;
  told: PeerId[] | undefined;
  /** Older news about the same member that still holds. */
  next: Item | undefined;
  /** In how many neighbours' lists it is. */
  open: number;
  superseded: boolean;
}

interface Pending {
  first: Item[];
  /** Sent once, to be sent again. */
  second: Item[];
  /** When some of it has to go; infinity when there is nothing. */
  dueAtMs: number;
  /** When it was last told any. */
  toldAtMs: number;
}

/**
 * News on its way to neighbours, newest first. Each piece is given to some neighbours drawn at random when it comes in,
 * and is dropped as soon as something newer is known of the same member, or the neighbour itself tells it. That is
 * SWIM's infection-style dissemination (Das, Gupta, Motivala 2002, section 4.1) with the choice of targets made early,
 * which makes the work proportional to what is sent.
 */
export class BroadcastQueue {
  readonly #random: Random;
  readonly #laterMs: () => number;
  readonly #links = new Map<PeerId, Pending>();
  /** News by the member it is about. */
  readonly #current = new Map<PeerId, Item>();
  /** The soonest of all neighbours; undefined when it has to be looked for again. */
  #dueAtMs: number | undefined = Number.POSITIVE_INFINITY;

  /** @param laterMs how long what only says that all is well waits for something that is said anyway */
  constructor(random: Random, laterMs: () => number) {
    this.#random = random;
    this.#laterMs = laterMs;
  }

  linkUp(peer: PeerId): void {
    if (this.#links.has(peer)) return;
    const dueAtMs = Number.POSITIVE_INFINITY;
    this.#links.set(peer, { first: [], second: [], dueAtMs, toldAtMs: Number.NEGATIVE_INFINITY });
  }

  linkDown(peer: PeerId): void {
    const pending = this.#links.get(peer);
    if (pending === undefined) return;
    this.#links.delete(peer);
    this.#dueAtMs = undefined;
    for (const item of pending.first) this.#finish(item);
    for (const item of pending.second) this.#finish(item);
  }

  /** When news for somebody has to go; infinity when there is none. */
  get dueAtMs(): number {
    if (this.#dueAtMs !== undefined) return this.#dueAtMs;
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const pending of this.#links.values()) dueAtMs = Math.min(dueAtMs, pending.dueAtMs);
    this.#dueAtMs = dueAtMs;
    return dueAtMs;
  }

  /** Those to whom news has to go now. */
  due(nowMs: number): PeerId[] {
    const peers: PeerId[] = [];
    for (const [peer, { dueAtMs }] of this.#links) if (dueAtMs <= nowMs) peers.push(peer);
    return peers;
  }

  /** Members that news is kept about. */
  get aboutCount(): number {
    return this.#current.size;
  }

  /**
   * Adds news. A record takes the place of everything else about its member, and goes as fast and as far as a record that
   * it overtakes on its way.
   * @param to `copies`: how many neighbours get it from here; `from`: who told it, and so need not be told
   */
  add(
    about: PeerId,
    news: News,
    haste: Haste,
    to: { readonly copies: number; readonly from?: PeerId | undefined },
    nowMs: number,
  ): void {
    const overtaken = news.kind === "record" ? this.#supersedeRecord(about) : undefined;
    const copies = Math.max(to.copies, overtaken?.copies ?? 0);
    const urgency = overtaken === undefined ? haste : hastier(haste, overtaken.haste);
    const targets = this.#targets(to.from, copies);
    if (targets.length === 0) return;
    const item: Item = {
      about,
      news,
      haste: urgency,
      copies,
      from: to.from,
      told: undefined,
      next: this.#current.get(about),
      open: targets.length,
      superseded: false,
    };
    this.#current.set(about, item);
    for (const pending of targets) {
      pending.first.push(item);
      this.#hurry(pending, this.#dueAtMsOf(urgency, pending, nowMs));
      if (pending.first.length > PENDING_MAX)
        for (const dropped of pending.first.splice(0, PENDING_MAX / 4)) this.#finish(dropped);
    }
  }

  /** What waits about that member may be an answer that somebody needs: nothing waits any longer. */
  hasten(about: PeerId, nowMs: number): void {
    if (!this.#current.has(about)) return;
    for (const pending of this.#links.values())
      if (pending.first.length > 0) this.#hurry(pending, nowMs);
  }

  /** Nothing that waits about that member holds any more. */
  supersede(about: PeerId): void {
    let item = this.#current.get(about);
    for (; item !== undefined; item = item.next) item.superseded = true;
    this.#current.delete(about);
  }

  /** @returns the record among what waited */
  #supersedeRecord(about: PeerId): Item | undefined {
    let item = this.#current.get(about);
    while (item !== undefined && item.news.kind !== "record") item = item.next;
    this.supersede(about);
    return item;
  }

  /** A neighbour told the record that waits about that member. */
  toldRecord(about: PeerId, by: PeerId): void {
    this.#told(about, by, ({ kind }) => kind === "record");
  }

  /** A neighbour made the accusation that waits about that member; or, where it does not say which, one that goes beyond them all. */
  toldAccusation(about: PeerId, by: PeerId, bytes?: Uint8Array): void {
    const isSame = (waiting: Uint8Array): boolean =>
      bytes === undefined || compareBytes(waiting, bytes) === 0;
    this.#told(about, by, (news) => news.kind === "accusation" && isSame(news.bytes));
  }

  #told(about: PeerId, by: PeerId, isSame: (news: News) => boolean): void {
    for (let item = this.#current.get(about); item !== undefined; item = item.next) {
      if (isTold(item, by) || !isSame(item.news)) continue;
      item.told ??= [];
      item.told.push(by);
    }
  }

  /** Takes what goes to a neighbour next. @param bytesMax of the encoded news together */
  take(peer: PeerId, bytesMax: number, nowMs: number): News[] {
    const pending = this.#links.get(peer);
    if (pending === undefined || (pending.first.length === 0 && pending.second.length === 0))
      return [];
    const again = pending.first.length === 0;
    if (again) {
      pending.first = pending.second;
      pending.second = [];
    }
    const taken: News[] = [];
    let bytes = 0;
    for (let item = pending.first.at(-1); item !== undefined; item = pending.first.at(-1)) {
      if (!item.superseded && !isTold(item, peer)) {
        bytes += newsBytes(item.news);
        if (bytes > bytesMax) break;
        taken.push(item.news);
        if (item.haste === "twice" && !again && pending.second.length < PENDING_MAX) {
          pending.second.push(item);
          item.open++;
        }
      }
      pending.first.pop();
      this.#finish(item);
    }
    if (taken.length > 0) pending.toldAtMs = nowMs;
    if (pending.second.length > 0) this.#hurry(pending, nowMs);
    else if (pending.first.length === 0) {
      pending.dueAtMs = Number.POSITIVE_INFINITY;
      this.#dueAtMs = undefined;
    }
    return taken;
  }

  /** Some of it has to go then, or sooner. */
  #hurry(pending: Pending, atMs: number): void {
    pending.dueAtMs = Math.min(pending.dueAtMs, atMs);
    if (this.#dueAtMs !== undefined) this.#dueAtMs = Math.min(this.#dueAtMs, pending.dueAtMs);
  }

  #dueAtMsOf(haste: Haste, { toldAtMs }: Pending, nowMs: number): number {
    if (haste === "later") return nowMs + this.#laterMs();
    return haste === "soon" ? Math.max(nowMs, toldAtMs + SOON_MS) : nowMs;
  }

  /** It is out of one list. */
  #finish(item: Item): void {
    item.open--;
    if (item.open > 0 || item.superseded) return;
    let newer = this.#current.get(item.about);
    if (newer !== item) {
      while (newer !== undefined && newer.next !== item) newer = newer.next;
      if (newer !== undefined) newer.next = item.next;
    } else if (item.next === undefined) this.#current.delete(item.about);
    else this.#current.set(item.about, item.next);
  }

  /** Draws neighbours without the one that told it. */
  #targets(from: PeerId | undefined, copies: number): Pending[] {
    const peers = [...this.#links].filter(([peer]) => peer !== from);
    return drawSome(peers, copies, this.#random).map(([, pending]) => pending);
  }
}

function hastier(one: Haste, other: Haste): Haste {
  return HASTES.indexOf(one) > HASTES.indexOf(other) ? one : other;
}

function isTold(item: Item, peer: PeerId): boolean {
  return item.from === peer || item.told?.includes(peer) === true;
}
