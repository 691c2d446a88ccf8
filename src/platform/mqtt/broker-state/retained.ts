import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { Journal } from "./journal.ts";
import { retainedKey } from "./keys.ts";
import { type Lifetime, lifetimeIn, lifetimeOf, stampExpiry } from "./lifetime.ts";
import { Complaint, type StateLimits } from "./limits.ts";
import { decodeMessage, encodeMessage, type Message } from "./packet.ts";
import { filterMatcher } from "./subscription-tree.ts";

interface Kept {
  readonly message: Message;
  readonly lifetime: Lifetime | undefined;
  readonly bytes: number;
}

/** The newest retained message of each topic: in memory to answer subscriptions, on disk to outlive us. */
export class RetainedMessages {
  readonly #clock: Clock;
  readonly #limits: StateLimits;
  readonly #journal: Journal;
  readonly #byTopic = new Map<string, Kept>();
  readonly #full: Complaint;
  #bytes = 0;
  #dropped = 0;

  constructor(parts: { clock: Clock; limits: StateLimits; journal: Journal; logger: Logger }) {
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#journal = parts.journal;
    this.#full = new Complaint(
      parts.logger,
      "retained MQTT messages dropped: mqtt.broker.retainedMax or retainedBytesMax is reached",
    );
  }

  get use(): { retained: number; retainedBytes: number; dropped: number } {
    return { retained: this.#byTopic.size, retainedBytes: this.#bytes, dropped: this.#dropped };
  }

  /** Takes an entry of the store; one over the bounds is deleted. @returns false when it is damaged. */
  restore(key: string, value: Uint8Array): boolean {
    const decoded = decodeMessage(value);
    if (decoded === undefined) return false;
    if (!this.#fits(value.length, undefined)) {
      this.#drop(decoded.message.topic);
      this.#journal.delete(key);
      return true;
    }
    this.#set({
      message: decoded.message,
      lifetime: lifetimeIn(decoded.notes),
      bytes: value.length,
    });
    return true;
  }

  /** Keeps the message as its topic's newest; an empty payload forgets the topic's (MQTT 5 section 3.3.1.3). */
  keep(message: Message): void {
    const { topic } = message;
    if (message.payload.length === 0) {
      this.#forget(topic);
      return;
    }
    const lifetime = lifetimeOf(message, this.#clock);
    const value = encodeMessage(message, lifetime === undefined ? {} : { lifetime });
    const old = this.#byTopic.get(topic);
    if (!this.#fits(value.length, old)) {
      this.#drop(topic);
      return;
    }
    const same = old !== undefined && lifetime === undefined && isSame(old.message, message);
    this.#set({ message: { ...message }, lifetime, bytes: value.length });
    // What says the same as before costs no flash.
    if (!same) this.#journal.put(retainedKey(topic), value);
  }

  /** @returns retained messages that match a filter, each once, with what is left of their lifetime. */
  *matching(filters: readonly string[]): Generator<Message> {
    for (const filter of filters) {
      const exact = this.#byTopic.get(filter);
      if (exact !== undefined && !/[+#]/.test(filter)) {
        yield* this.#alive(exact);
        continue;
      }
      const matches = filterMatcher(filter);
      for (const kept of this.#byTopic.values())
        if (matches(kept.message.topic)) yield* this.#alive(kept);
    }
  }

  *#alive(kept: Kept): Generator<Message> {
    const message = { ...kept.message };
    if (stampExpiry(message, kept.lifetime, this.#clock)) yield message;
    else this.#forget(message.topic);
  }

  #fits(bytes: number, old: Kept | undefined): boolean {
    const { retainedMax, retainedBytesMax } = this.#limits;
    return (
      (old !== undefined || this.#byTopic.size < retainedMax) &&
      this.#bytes - (old?.bytes ?? 0) + bytes <= retainedBytesMax
    );
  }

  #drop(topic: string): void {
    this.#dropped++;
    const { retainedMax, retainedBytesMax } = this.#limits;
    const use = { retained: this.#byTopic.size, retainedBytes: this.#bytes };
    this.#full.voice({ topic, ...use, retainedMax, retainedBytesMax });
  }

  #set(kept: Kept): void {
    const { topic } = kept.message;
    this.#bytes += kept.bytes - (this.#byTopic.get(topic)?.bytes ?? 0);
    this.#byTopic.set(topic, kept);
  }

  #forget(topic: string): void {
    const kept = this.#byTopic.get(topic);
    if (kept === undefined) return;
    this.#bytes -= kept.bytes;
    this.#byTopic.delete(topic);
    this.#journal.delete(retainedKey(topic));
    this.#full.over();
  }
}

function isSame(old: Message, next: Message): boolean {
  return (
    old.qos === next.qos &&
    old.properties === undefined &&
    next.properties === undefined &&
    Buffer.compare(Buffer.from(old.payload), Buffer.from(next.payload)) === 0
  );
}
