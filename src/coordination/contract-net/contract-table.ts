import type { PeerId } from "../../platform/signer.ts";
import type { Contract } from "./contract.ts";
import type { ParticipantOptions } from "./options.ts";

/**
 * All bids and contracts of a participant: the open ones, with the capacity that they take, and those that are over, of which
 * the oldest are forgotten. A bid that only lapsed can be opened again.
 */
export class ContractTable {
  readonly #options: ParticipantOptions;
  readonly #open = new Map<string, Contract>();
  readonly #roots = new Map<string, Contract>();
  readonly #perInitiator = new Map<PeerId, number>();
  /** With what lapsed; undefined for what has ended. */
  readonly #closed = new Map<string, Contract | undefined>();
  #taken = 0;

  constructor(options: ParticipantOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Units that bids and contracts take. */
  get taken(): number {
    return this.#taken;
  }

  get(key: string): Contract | undefined {
    return this.#open.get(key);
  }

  all(): MapIterator<Contract> {
    return this.#open.values();
  }

  /** The same task, come another way, is open. */
  hasRoot(root: string): boolean {
    return this.#roots.has(root);
  }

  hasRoomFor(initiator: PeerId): boolean {
    const { openMax, openPerInitiatorMax } = this.#options;
    return (
      this.#open.size < openMax && (this.#perInitiator.get(initiator) ?? 0) < openPerInitiatorMax
    );
  }

  /** So much more can be promised. */
  fits(demand: number): boolean {
    return this.#taken + demand <= this.#options.capacity;
  }

  add(contract: Contract): void {
    const { key, root, initiator, demand } = contract;
    this.#closed.delete(key);
    this.#open.set(key, contract);
    this.#roots.set(root, contract);
    this.#perInitiator.set(initiator, (this.#perInitiator.get(initiator) ?? 0) + 1);
    this.#taken += demand;
  }

  /** The work is over, its end is still to be told. */
  release(contract: Contract): void {
    if (this.#roots.get(contract.root) !== contract) return;
    this.#roots.delete(contract.root);
    this.#taken -= contract.demand;
    // What is left of fractions that do not add up.
    if (this.#roots.size === 0) this.#taken = 0;
  }

  /** @param lapsed it was a bid, and may be awarded yet */
  close(contract: Contract, lapsed: boolean): void {
    const { key, initiator } = contract;
    if (!this.#open.delete(key)) return;
    this.release(contract);
    const left = (this.#perInitiator.get(initiator) ?? 1) - 1;
    if (left === 0) this.#perInitiator.delete(initiator);
    else this.#perInitiator.set(initiator, left);
    this.#closed.set(key, lapsed ? contract : undefined);
    if (this.#closed.size <= this.#options.closedMax) return;
    for (const oldest of this.#closed.keys()) {
      this.#closed.delete(oldest);
      return;
    }
  }

  isClosed(key: string): boolean {
    return this.#closed.has(key);
  }

  lapsed(key: string): Contract | undefined {
    return this.#closed.get(key);
  }
}
