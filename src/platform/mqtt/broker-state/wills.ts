import type { Clock, Timer } from "../../clock.ts";
import type { Journal } from "./journal.ts";
import { willKey } from "./keys.ts";
import { decodeMessage, encodeMessage, type Message } from "./packet.ts";

/** In place of the name of the broker that took the will, which is no more. */
const LEFT = "earlier";

/** A will and whose it is. */
export interface Will extends Message {
  clientId: string;
  brokerId: string;
}

/** Wills of the clients that are connected, and of those whose will waits for its delay. */
export class Wills {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #byClient = new Map<string, Will>();
  readonly #timers = new Set<Timer>();

  constructor(parts: { journal: Journal; clock: Clock }) {
    this.#journal = parts.journal;
    this.#clock = parts.clock;
  }

  /** Takes an entry of the store. @returns false when it is damaged. */
  restore(value: Uint8Array): boolean {
    const decoded = decodeMessage(value);
    const clientId = decoded?.notes["clientId"];
    if (decoded === undefined || typeof clientId !== "string") return false;
    this.#byClient.set(clientId, { ...decoded.message, clientId, brokerId: LEFT });
    return true;
  }

  /** Keeps a will; it survives power loss when this resolves, unless the disk fails. */
  async put(clientId: string, brokerId: string, message: Message): Promise<void> {
    const will = Object.assign(message, { clientId, brokerId });
    this.#byClient.set(clientId, will);
    this.#journal.put(willKey(clientId), encodeMessage(message, { clientId }));
    await this.#journal.durableIfPossible();
  }

  get(clientId: string): Will | undefined {
    return this.#byClient.get(clientId);
  }

  /** Forgets a will, on disk too before this resolves, unless the disk fails. */
  async delete(clientId: string): Promise<Will | undefined> {
    const will = this.#byClient.get(clientId);
    if (will === undefined) return undefined;
    this.#byClient.delete(clientId);
    this.#journal.delete(willKey(clientId));
    // A will that comes back after its client said goodbye would be a lie.
    await this.#journal.durableIfPossible();
    return will;
  }

  /** @returns wills taken by brokers other than those named; without names all of them. */
  *of(brokers: Readonly<Record<string, unknown>> | undefined): Generator<Will> {
    // What earlier runs left is published by publishLeft, when its delay is over.
    for (const will of this.#byClient.values())
      if (brokers === undefined || (will.brokerId !== LEFT && !(will.brokerId in brokers)))
        yield will;
  }

  /**
   * Publishes what earlier runs left, each after its delay (MQTT 5 section 3.1.3.2.2), unless its client
   * has come back by then. When the connection was lost is not known; the delay counts from now.
   * @param capSeconds the delay is never longer than the client's session lasts
   */
  publishLeft(
    brokerId: string,
    capSeconds: (clientId: string) => number,
    publish: (will: Will) => void,
  ): void {
    for (const will of this.#byClient.values()) {
      if (will.brokerId === brokerId) continue;
      const wanted = will.properties?.willDelayInterval ?? 0;
      const delaySeconds = Math.min(wanted, capSeconds(will.clientId));
      if (delaySeconds <= 0) {
        publish(will);
        continue;
      }
      const timer = this.#clock.setTimer("broker-state.will", delaySeconds * 1_000, () => {
        this.#timers.delete(timer);
        if (this.#byClient.get(will.clientId) === will) publish(will);
      });
      this.#timers.add(timer);
    }
  }

  /** What still waits for its delay stays for the next start. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
