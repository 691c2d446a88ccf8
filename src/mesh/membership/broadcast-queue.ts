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
  /** Neighbours that have it from elsewhere. */
  readonly told: PeerId[];
  /** In how many neighbours' lists it is. */
  open: number;
  superseded: boolean;
}

interface Pending {
  first: Item[];
  /** Sent once, to be sent again. */
  second: Item[];
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
  readonly #current = new Map<PeerId, Item[]>();
  /** Entries of all neighbours' lists. */
  #openSlots = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  linkUp(peer: PeerId): void {
    if (!this.#links.has(peer)) this.#links.set(peer, { first: [], second: [] });
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
    const item: Item = { about, news, urgent, told: [], open: 0, superseded: false };
    if (from !== undefined) item.told.push(from);
    const targets = this.#targets(item, copies);
    if (targets.length === 0) return;
    item.open = targets.length;
    this.#openSlots += targets.length;
    const others = this.#current.get(about);
    if (others === undefined) this.#current.set(about, [item]);
    else others.push(item);
    for (const pending of targets) {
      pending.first.push(item);
      if (pending.first.length > PENDING_MAX)
        for (const dropped of pending.first.splice(0, PENDING_MAX / 4)) this.#finish(dropped);
    }
  }

  /** Nothing that waits about that member holds any more. */
  supersede(about: PeerId): void {
    for (const item of this.#current.get(about) ?? []) item.superseded = true;
    this.#current.delete(about);
  }

  /** A neighbour told the record that waits about that member. */
  toldRecord(about: PeerId, by: PeerId): void {
    for (const item of this.#current.get(about) ?? [])
      if (item.news.kind === "record" && !item.told.includes(by)) item.told.push(by);
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
      if (!item.superseded && !item.told.includes(peer)) {
        bytes += newsBytes(item.news);
        if (bytes > bytesMax) break;
        taken.push(item.news);
        if (item.urgent && !again) {
          pending.second.push(item);
          item.open++;
          this.#openSlots++;
        }
      }
      pending.first.pop();
      this.#finish(item);
    }
    return taken;
  }

  /** It is out of one list. */
  #finish(item: Item): void {
    item.open--;
    this.#openSlots--;
    if (item.open > 0 || item.superseded) return;
    const items = this.#current.get(item.about) ?? [];
    if (items.length <= 1) this.#current.delete(item.about);
    else
      this.#current.set(
        item.about,
        items.filter((other) => other !== item),
      );
  }

  /** Draws neighbours without the one that told it. */
  #targets(item: Item, copies: number): Pending[] {
    const peers = [...this.#links].filter(([peer]) => !item.told.includes(peer));
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
