import { compareRecords, type KnownRecord } from "../../mesh/records/known-record.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Violations } from "./violation.ts";

/** What one process was shown, and whom it holds to be gone. */
interface Book {
  /** Of each agent the newest record that the process was shown. */
  readonly newest: Map<PeerId, KnownRecord>;
  /** Of each that it holds to be gone, the newest record that it had been shown by then. */
  readonly buried: Map<PeerId, KnownRecord>;
}

/**
 * A death or a good-bye stands until the agent itself says otherwise: who holds another to be gone takes it in again for a
 * record only that is newer than all it had been shown of it. Otherwise a table that has not heard of a death brings back
 * who is gone, from one agent to the next.
 */
export class Burials {
  readonly #violations: Violations;
  readonly #books = new Map<number, Book>();

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** A process came up: what the one before knew is gone with it. */
  started(by: number): void {
    this.#books.set(by, { newest: new Map(), buried: new Map() });
  }

  /** Somebody showed a record to it. */
  showed(by: number, record: KnownRecord): void {
    const { newest } = this.#books.get(by) ?? {};
    const before = newest?.get(record.peerId);
    if (before === undefined || compareRecords(record, before) > 0)
      newest?.set(record.peerId, record);
  }

  /** It holds an agent to be dead, or to have left. */
  buried(by: number, peer: PeerId): void {
    const { newest, buried } = this.#books.get(by) ?? {};
    const last = newest?.get(peer);
    if (last !== undefined) buried?.set(peer, last);
  }

  /** It takes an agent in, for the first time or again. @param name of who does */
  welcomed(atMs: number, by: number, name: string, peer: PeerId): void {
    const { newest, buried } = this.#books.get(by) ?? {};
    const before = buried?.get(peer);
    const now = newest?.get(peer);
    buried?.delete(peer);
    if (before === undefined || now === undefined || compareRecords(now, before) > 0) return;
    const { agentId, epoch, sequence } = before;
    this.#violations.add(
      atMs,
      "resurrected",
      `${name} took in ${agentId} again, which it held to be gone, for no newer record than ${epoch}.${sequence}`,
    );
  }
}
