import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

const DISCOVERED_MAX = 256;

/** Somebody who may be dialled. */
export interface Contact {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
}

/**
 * Where agents may be that are no members: discovered and not yet met, or members once. Both kinds are bounded each by
 * itself, so that a flood of discoveries does not make this agent forget whom it knew.
 */
export class AddressBook {
  readonly #formerMax: number;
  readonly #former = new Map<PeerId, Contact>();
  readonly #discovered = new Map<PeerId, Contact>();

  constructor(formerMax: number) {
    this.#formerMax = formerMax;
  }

  get size(): number {
    return this.#former.size + this.#discovered.size;
  }

  discovered(contact: Contact): void {
    put(this.#discovered, contact, DISCOVERED_MAX);
  }

  /** A member once. */
  former(contact: Contact): void {
    put(this.#former, contact, this.#formerMax);
  }

  /** It is a member, or this agent itself. */
  remove(peer: PeerId): void {
    this.#former.delete(peer);
    this.#discovered.delete(peer);
  }

  /** Up to `count`, from a random place on. */
  draw(random: Random, count: number): Contact[] {
    const all = [...this.#former.values(), ...this.#discovered.values()];
    const from = Math.floor(random.next() * all.length);
    return [...all.slice(from), ...all.slice(0, from)].slice(0, count);
  }
}

/** The newest are kept. */
function put(contacts: Map<PeerId, Contact>, contact: Contact, max: number): void {
  contacts.delete(contact.peer);
  contacts.set(contact.peer, contact);
  if (contacts.size <= max) return;
  const [oldest] = contacts.keys();
  if (oldest !== undefined) contacts.delete(oldest);
}
