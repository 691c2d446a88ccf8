import type { Journal } from "./journal.ts";
import { incomingKey } from "./keys.ts";
import type { Session } from "./session.ts";

/**
 * QoS 2 messages that were taken from clients and not released yet (MQTT 5 section 4.3.3). Only their ids
 * are kept: the messages themselves have gone where they belong.
 */
export class IncomingMessages {
  readonly #journal: Journal;
  /** Those of clients whose sessions end with their connections. */
  readonly #passing = new Map<string, Set<number>>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  has(clientId: string, session: Session | undefined, messageId: number): boolean {
    return (
      this.#passing.get(clientId)?.has(messageId) === true ||
      session?.incoming.has(messageId) === true
    );
  }

  /**
   * @param session the one that outlives the client's connection, if any; it then survives power loss when
   * this resolves. @throws StoreError
   */
  async add(clientId: string, session: Session | undefined, messageId: number): Promise<void> {
    if (session === undefined) {
      const ids = this.#passing.get(clientId) ?? new Set();
      this.#passing.set(clientId, ids.add(messageId));
      return;
    }
    session.incoming.add(messageId);
    this.#journal.put(incomingKey(session.number, messageId), new Uint8Array());
    await this.#journal.durable();
  }

  delete(clientId: string, session: Session | undefined, messageId: number): void {
    this.#passing.get(clientId)?.delete(messageId);
    if (session?.incoming.delete(messageId) === true)
      this.#journal.delete(incomingKey(session.number, messageId));
  }

  /** Forgets what no session keeps. */
  left(clientId: string): void {
    this.#passing.delete(clientId);
  }
}
