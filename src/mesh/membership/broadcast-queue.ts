import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { type News, newsBytes } from "./codec.ts";

/** Most news that waits for one neighbour; the oldest gives way, and the next comparison of tables makes up for it. */
export const PENDING_MAX = 1_024;

interface Item {
  readonly about: PeerId;
  readonly news: News;
  /** Sent twice to each, since much depends on it. */
  readonly urgent: boolean;
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
  /** How many in both can not wait. */
  prompt: number;
}

/**
 * News on its way to neighbours, newest first. Each piece is given to some neighbours drawn at random when it comes in,
 * and is dropped as soon as something newer is known of the same member, or the neighbour itself tells it. That is
 * SWIM's infection-style dissemination (Das, Gupta, Motivala 2002, section 4.1) with the choice of targets made early,
 * which makes the work proportional to what is sent.
 */
export class BroadcastQueue {
  readonly #random: Random;
  readonly #links = new Map<PeerId, Pending>();
  /** News by the member it is about. */
  readonly #current = new Map<PeerId, Item>();
  /** Entries of all neighbours' lists. */
  #openSlots = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  linkUp(peer: PeerId): void {
    if (!this.#links.has(peer)) this.#links.set(peer, { first: [], second: [], prompt: 0 });
  }

  linkDown(peer: PeerId): void {
    const pending = this.#links.get(peer);
    if (pending === undefined) return;
    this.#links.delete(peer);
    for (const item of pending.first) this.#finish(item);
    for (const item of pending.second) this.#finish(item);
  }

  /** Nothing waits for anybody. */
  get idle(): boolean {
    return this.#openSlots === 0;
  }

  hasNewsFor(peer: PeerId): boolean {
    const pending = this.#links.get(peer);
    return pending !== undefined && (pending.first.length > 0 || pending.second.length > 0);
  }

  /** Whether there is anything else for it than records, which can wait: who is accused, and what answers that. */
  hasPromptNewsFor(peer: PeerId): boolean {
    return (this.#links.get(peer)?.prompt ?? 0) > 0;
  }

  /** Members that news is kept about. */
  get aboutCount(): number {
    return this.#current.size;
  }

  /**
   * Adds news. A record takes the place of everything else about its member.
   * @param copies how many neighbours get it from here
   * @param from who told it, and so need not be told
   */
  add(about: PeerId, news: News, copies: number, urgent: boolean, from?: PeerId): void {
    if (news.kind === "record") this.supersede(about);
    const targets = this.#targets(from, copies);
    if (targets.length === 0) return;
    const item: Item = {
      about,
      news,
      urgent,
      from,
      told: undefined,
      next: this.#current.get(about),
      open: targets.length,
      superseded: false,
    };
    this.#openSlots += targets.length;
    this.#current.set(about, item);
    for (const pending of targets) {
      pending.first.push(item);
      if (isPrompt(item)) pending.prompt++;
      if (pending.first.length > PENDING_MAX)
        for (const dropped of pending.first.splice(0, PENDING_MAX / 4)) {
          if (isPrompt(dropped)) pending.prompt--;
          this.#finish(dropped);
        }
    }
  }

  /** Nothing that waits about that member holds any more. */
  supersede(about: PeerId): void {
    let item = this.#current.get(about);
    for (; item !== undefined; item = item.next) item.superseded = true;
    this.#current.delete(about);
  }

  /** A neighbour told the record that waits about that member. */
  toldRecord(about: PeerId, by: PeerId): void {
    let item = this.#current.get(about);
    for (; item !== undefined; item = item.next) {
      if (item.news.kind !== "record" || isTold(item, by)) continue;
      item.told ??= [];
      item.told.push(by);
    }
  }

  /** Takes what goes to a neighbour next. @param bytesMax of the encoded news together */
  take(peer: PeerId, bytesMax: number): News[] {
    const pending = this.#links.get(peer);
    if (pending === undefined) return [];
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
        if (item.urgent && !again && pending.second.length < PENDING_MAX) {
          pending.second.push(item);
          pending.prompt++;
          item.open++;
          this.#openSlots++;
        }
      }
      pending.first.pop();
      if (isPrompt(item)) pending.prompt--;
      this.#finish(item);
    }
    return taken;
  }

  /** It is out of one list. */
  #finish(item: Item): void {
    item.open--;
    this.#openSlots--;
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
    const count = Math.min(copies, peers.length);
    const targets: Pending[] = [];
    for (let at = 0; at < count; at++) {
      const other = at + Math.floor(this.#random.next() * (peers.length - at));
      const drawn = peers[other];
      const here = peers[at];
      if (drawn === undefined || here === undefined) break;
      peers[other] = here;
      targets.push(drawn[1]);
    }
    return targets;
  }
}

function isPrompt({ urgent, news }: Item): boolean {
  return urgent || news.kind !== "record";
}

function isTold(item: Item, peer: PeerId): boolean {
  return item.from === peer || item.told?.includes(peer) === true;
}
