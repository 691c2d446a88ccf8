import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

const DISCOVERED_MAX = 256;
const ADDRESSES_MAX = 16;

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

  /** At most 16 addresses count. @returns whether that is new */
  discovered({ peer, addresses }: Contact): boolean {
    const known = this.#discovered.get(peer);
    const contact = { peer, addresses: addresses.slice(0, ADDRESSES_MAX) };
    if (known !== undefined && known.addresses.join() === contact.addresses.join()) return false;
    put(this.#discovered, contact, DISCOVERED_MAX);
    return true;
  }

  /** Where it was discovered. */
  addressesOf(peer: PeerId): readonly string[] {
    return this.#discovered.get(peer)?.addresses ?? [];
  }

  /** A member once. */
  former(contact: Contact): void {
    put(this.#former, contact, this.#formerMax);
  }

  /** It is a member, or linked. */
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
