import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { AddressBook, type Contact } from "./address-book.ts";
import { Dials } from "./dials.ts";
import type { LinkState } from "./links.ts";
import type { Member } from "./member.ts";
import type { MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

const DIALS_MAX = 4;
/** How often a candidate is drawn before this round is given up. */
const DRAWS_MAX = 12;
const MAINTAIN_GAP_MS = 1_000;
/** When nobody can be dialled. */
const FRUITLESS_GAP_MS = 4_000;
/** Between two tries of somebody who is gone; times the size of the fleet beyond `RESCUE_FLEET`, which shares the work. */
const RESCUE_GAP_MS = 5_000;
const RESCUE_FLEET = 32;
/** Own links that are kept however many others come in: an agent that others surround still has these. */
const OWN_LINKS_MIN = 2;
/** A neighbour with this many times the wanted links is left by those that have enough. */
const CROWD_FACTOR = 4;

interface Parts {
  readonly self: PeerId;
  readonly table: MemberTable;
  readonly links: ReadonlyMap<PeerId, LinkState>;
  readonly random: Random;
  /** The power policy may change it at run time. */
  readonly neighboursWanted: () => number;
}

/**
 * Whom to be linked to: the idea of HyParView (Leitão, Pereira, Rodrigues 2007) with the member table as passive view.
 * In a fleet no larger than `neighboursWanted` everybody; else that many. At most half of them may be links that others
 * opened, the rest is drawn at random from all members, so that whoever surrounds an agent does not cut it off. Members
 * that are gone are dialled again for ever, a few at a time: that is what heals a partition.
 */
export class PartialView {
  readonly #parts: Parts;
  readonly #dials: Dials;
  readonly #book: AddressBook;
  #maintainAtMs = 0;
  #rescueAtMs = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#dials = new Dials(parts.random);
    this.#book = new AddressBook(parts.table.membersMax);
  }

  get nextAtMs(): number {
    const { table } = this.#parts;
    const somebodyGone = table.deadCount > 0 || this.#book.size > 0;
    return somebodyGone ? Math.min(this.#maintainAtMs, this.#rescueAtMs) : this.#maintainAtMs;
  }

  /** Members once, from before the start. */
  remember(contact: Contact): void {
    if (contact.peer !== this.#parts.self) this.#book.former(contact);
  }

  /** Somebody was seen there: of somebody who is gone or was not met, that is worth a dial. */
  discovered(contact: Contact, nowMs: number): void {
    const { self, links } = this.#parts;
    if (contact.peer === self || links.has(contact.peer)) return;
    if (!this.#book.discovered(contact)) return;
    this.#dials.forgive(contact.peer);
    this.#soon(nowMs, 0);
    this.#rescueAtMs = Math.min(this.#rescueAtMs, nowMs + MAINTAIN_GAP_MS);
  }

  /** A member became known, or living again. */
  joined(peer: PeerId, nowMs: number): void {
    this.#book.remove(peer);
    this.#soon(nowMs, MAINTAIN_GAP_MS);
  }

  linkUp(peer: PeerId, nowMs: number): void {
    this.#book.remove(peer);
    this.#dials.succeeded(peer);
    this.#soon(nowMs, MAINTAIN_GAP_MS);
  }

  /** More links may be wanted than before. */
  wantChanged(nowMs: number): void {
    this.#soon(nowMs, MAINTAIN_GAP_MS);
  }

  linkDown(nowMs: number): void {
    this.#soon(nowMs, MAINTAIN_GAP_MS);
  }

  connectFailed(peer: PeerId, nowMs: number): void {
    const { table, links } = this.#parts;
    const member = table.get(peer);
    // Without any link there is nobody else to wait for.
    const strangerMs = links.size === 0 ? 0 : Number.POSITIVE_INFINITY;
    const memberMs = member?.state === "dead" ? nowMs - member.sinceMs : 0;
    this.#dials.failed(peer, nowMs, member === undefined ? strangerMs : memberMs);
    this.#soon(nowMs, MAINTAIN_GAP_MS);
  }

  /** Dials a member at once: a neighbour whose link broke, or one that is to show that it lives. */
  reconnect(turn: Turn, member: Member): void {
    const { peerId, addresses } = member.record;
    if (!this.#dials.isUnderWay(peerId)) this.#dial(turn, { peer: peerId, addresses });
  }

  tick(turn: Turn): void {
    if (this.#maintainAtMs <= turn.nowMs) this.#maintain(turn);
    if (this.#rescueAtMs <= turn.nowMs) this.#rescue(turn);
  }

  /** @returns whether the link to a neighbour that has so many should be closed */
  isCrowded(link: LinkState, itsLinks: number): boolean {
    const { links } = this.#parts;
    const neighboursWanted = this.#parts.neighboursWanted();
    return (
      itsLinks > CROWD_FACTOR * neighboursWanted &&
      links.size >= neighboursWanted &&
      link.direction === "outbound" &&
      this.#own().length > OWN_LINKS_MIN
    );
  }

  /** A link to close: there are far more than are wanted. An own one, unless others crowd in. */
  surplus(): PeerId | undefined {
    const { links, random } = this.#parts;
    const neighboursWanted = this.#parts.neighboursWanted();
    if (links.size <= 2 * neighboursWanted) return undefined;
    const own = this.#own();
    if (links.size > CROWD_FACTOR * neighboursWanted && own.length < links.size / 2) {
      const theirs = [...links.values()].filter(({ direction }) => direction === "inbound");
      return theirs[Math.floor(random.next() * theirs.length)]?.peer;
    }
    // Of its own it keeps as many as it would open again.
    if (own.length <= this.#ownWanted(own)) return undefined;
    return own[Math.floor(random.next() * own.length)]?.peer;
  }

  #maintain(turn: Turn): void {
    this.#dials.expire(turn.nowMs);
    this.#maintainAtMs = Number.POSITIVE_INFINITY;
    const missing = this.#missing();
    if (missing <= 0) return;
    this.#soon(turn.nowMs, MAINTAIN_GAP_MS);
    for (let count = missing; count > 0 && this.#dials.underWay < DIALS_MAX; count--) {
      const contact = this.#candidate(turn.nowMs);
      if (contact === undefined) {
        this.#maintainAtMs = turn.nowMs + FRUITLESS_GAP_MS;
        return;
      }
      this.#dial(turn, contact);
    }
  }

  /** Links to open, those being opened not counted. */
  #missing(): number {
    const { links, table } = this.#parts;
    const neighboursWanted = this.#parts.neighboursWanted();
    const others = table.living().length;
    if (others <= neighboursWanted && others > 0) {
      const linked = table.living().filter(({ record }) => links.has(record.peerId)).length;
      const strangers = Math.min(this.#book.size, neighboursWanted - others);
      return others - linked + strangers - this.#dials.underWay;
    }
    const own = this.#own();
    return this.#ownWanted(own) - own.length - this.#dials.underWay;
  }

  /** Of its own links, however many others open. */
  #ownWanted(own: readonly LinkState[]): number {
    const neighboursWanted = this.#parts.neighboursWanted();
    const theirs = this.#parts.links.size - own.length;
    const wanted = neighboursWanted - Math.min(theirs, Math.floor(neighboursWanted / 2));
    return Math.max(OWN_LINKS_MIN, wanted);
  }

  #candidate(nowMs: number): Contact | undefined {
    const { table, random } = this.#parts;
    const living = table.living();
    const small = living.length <= 2 * this.#parts.neighboursWanted();
    const draws = small ? living.length : DRAWS_MAX;
    const from = Math.floor(random.next() * living.length);
    for (let draw = 0; draw < draws; draw++) {
      const member = small ? living[(from + draw) % living.length] : table.randomLiving(random);
      if (member === undefined) break;
      const { peerId, addresses } = member.record;
      if (this.#mayDial(peerId, nowMs)) return { peer: peerId, addresses };
    }
    return this.#book.draw(random, DRAWS_MAX).find(({ peer }) => this.#mayDial(peer, nowMs));
  }

  /** Tries somebody who is gone. */
  #rescue(turn: Turn): void {
    const { table, random } = this.#parts;
    const share = Math.max(1, table.livingCount / RESCUE_FLEET);
    this.#rescueAtMs = turn.nowMs + RESCUE_GAP_MS * share * (0.5 + random.next());
    const former = this.#book.draw(random, 1);
    const dead = table.randomDead(random)?.record;
    if (dead !== undefined) former.push({ peer: dead.peerId, addresses: dead.addresses });
    for (const contact of former)
      if (this.#mayDial(contact.peer, turn.nowMs)) this.#dial(turn, contact);
  }

  #mayDial(peer: PeerId, nowMs: number): boolean {
    return !this.#parts.links.has(peer) && this.#dials.allows(peer, nowMs);
  }

  #dial(turn: Turn, { peer, addresses }: Contact): void {
    this.#dials.begin(peer, turn.nowMs);
    // Where it says it is, and where it was seen.
    const said = this.#parts.table.get(peer)?.record.addresses ?? [];
    const seen = this.#book.addressesOf(peer);
    turn.connect(peer, [...new Set([...said, ...addresses, ...seen])]);
  }

  #own(): LinkState[] {
    return [...this.#parts.links.values()].filter(({ direction }) => direction === "outbound");
  }

  /** Within that time, at a random moment, so that a fleet does not act as one. */
  #soon(nowMs: number, withinMs: number): void {
    this.#maintainAtMs = Math.min(this.#maintainAtMs, nowMs + withinMs * this.#parts.random.next());
  }
}
