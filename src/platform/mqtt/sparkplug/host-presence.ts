/** Whether the host that we serve is there, as far as we were told. */
export type Presence = "unknown" | "online" | "offline";

/**
 * Follows the STATE messages of the primary host application (Sparkplug 3.0 section 5.4.1 and
 * tck-id-message-flow-edge-node-birth-publish-phid-wait-*): one that is older than the latest is a straggler
 * and changes nothing.
 */
export class HostPresence {
  #presence: Presence = "unknown";
  #timestampMs: number | undefined;

  get presence(): Presence {
    return this.#presence;
  }

  /** What is known belongs to one connection to one broker. */
  reset(): void {
    this.#presence = "unknown";
    this.#timestampMs = undefined;
  }

  /** @returns why the message was not believed, or undefined when it was. */
  take(payload: Uint8Array): string | undefined {
    let state: unknown;
    try {
      state = JSON.parse(Buffer.from(payload).toString("utf8"));
    } catch {
      return "it is not JSON";
    }
    if (typeof state !== "object" || state === null) return "it is not a JSON object";
    const { online, timestamp } = state as { online?: unknown; timestamp?: unknown };
    if (typeof online !== "boolean") return "it has no boolean `online`";
    if (typeof timestamp !== "number") return "it has no numeric `timestamp`";
    if (this.#timestampMs !== undefined && timestamp < this.#timestampMs)
      return "its timestamp is older than that of the state before";
    this.#timestampMs = timestamp;
    this.#presence = online ? "online" : "offline";
    return undefined;
  }
}
