import type { Outbox } from "../outbox/outbox.ts";
import type { Update, UpdateDraft } from "../outbox/update.ts";
import type { InboundMessage, Refusal } from "../platform/broker.ts";
import type { EventSink } from "../platform/event-sink.ts";
import { RecentReadings } from "./recent-readings.ts";
import { stateKey } from "./state-key.ts";
import type { TopicMap, TopicMapping } from "./topic-map.ts";
import type { ReadingsView, StreamReading, TopicMappingView } from "./view.ts";

/** What an {@link Intake} is made of. */
export interface IntakeParts {
  readonly outbox: Outbox;
  readonly topics: TopicMap;
  readonly events: EventSink;
  /** Payloads over this become dead letters. */
  readonly updateBytesMax: number;
}

/**
 * The door. A message on a mapped topic becomes an update; one that can never be delivered becomes a dead
 * letter. Either is on disk before the publisher is thanked. Other topics are nobody's business here: the
 * broker passes them on to its subscribers.
 */
export class Intake implements ReadingsView {
  readonly #parts: IntakeParts;
  readonly #recent = new RecentReadings();
  readonly #totals = { received: 0, refused: 0, deadLettered: 0, bytes: 0 };
  readonly #listeners = new Set<(update: Update) => void>();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes one message; it is the broker's inbound handler. */
  take(message: InboundMessage, settle: (refusal?: Refusal) => void): void {
    const { mapping, fault: malformed } = this.#parts.topics.find(message.topic);
    if (mapping === undefined) {
      settle();
      return;
    }
    mapping.received++;
    const fault =
      malformed === undefined
        ? this.#fault(message, mapping)
        : { code: "topic.malformed", reason: malformed };
    if (fault !== undefined) {
      this.#setAside(message, mapping, fault, settle);
      return;
    }
    const draft: UpdateDraft = {
      stream: message.topic,
      payload: message.payload,
      contentType: message.contentType ?? guessContentType(message.payload),
      priority: mapping.priority,
      expiresAfterMs: mapping.expireAfterMs,
      key: mapping.keep === "latest" ? stateKey(message.payload, mapping.key) : undefined,
    };
    this.append(draft, settle);
  }

  /** Calls `listener` with each reading once it is on disk; it is quick and never throws. @returns ends it */
  onReading(listener: (update: Update) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a reading of the agent's own. */
  append(draft: UpdateDraft, settle: (refusal?: Refusal) => void): void {
    this.#parts.outbox.append(draft, (error, update) => {
      if (error !== undefined || update === undefined) {
        this.#totals.refused++;
        const { code, message } = error ?? { code: "outbox.store-failed", message: "not stored" };
        this.#parts.events.emit("readings.refused", { code, reason: message, topic: draft.stream });
        settle({ code, message });
        return;
      }
      this.#totals.received++;
      this.#totals.bytes += update.payload.length;
      this.#recent.note(update);
      for (const listener of this.#listeners) listener(update);
      settle();
    });
  }

  latest(options: { limit: number; offset: number; prefix?: string }): {
    readings: readonly StreamReading[];
    total: number;
  } {
    return this.#recent.list(options);
  }

  mappings(): readonly TopicMappingView[] {
    return this.#parts.topics.views();
  }

  totals(): ReturnType<ReadingsView["totals"]> {
    return { ...this.#totals };
  }

  #fault(message: InboundMessage, mapping: TopicMapping): Fault | undefined {
    const bytes = message.payload.length;
    const { updateBytesMax } = this.#parts;
    if (bytes > updateBytesMax)
      return {
        code: "payload.too-large",
        reason: `${bytes} bytes are over outbox.updateBytesMax (${updateBytesMax})`,
      };
    if (mapping.format === "json" && !isJson(message.payload))
      return {
        code: "payload.not-json",
        reason: `the mapping for ${mapping.filter} (mqtt.topics) has format json, and this does not parse`,
      };
    return undefined;
  }

  #setAside(
    message: InboundMessage,
    mapping: TopicMapping,
    fault: Fault,
    settle: (refusal?: Refusal) => void,
  ): void {
    const { topic, payload } = message;
    const contentType = message.contentType ?? "application/octet-stream";
    const letter = { ...fault, topic, payload, contentType, priority: mapping.priority };
    this.#parts.outbox.deadLetter(letter, (error) => {
      if (error === undefined) this.#totals.deadLettered++;
      settle(error);
    });
  }
}

interface Fault {
  readonly code: string;
  readonly reason: string;
}

function isJson(payload: Uint8Array): boolean {
  try {
    JSON.parse(
      Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"),
    );
    return true;
  } catch {
    return false;
  }
}

/** By the first byte: a look at the whole payload is not worth it on the road of every reading. */
function guessContentType(payload: Uint8Array): string {
  const first = payload[0];
  if (first === 0x7b || first === 0x5b) return "application/json";
  if (first === undefined || (first >= 0x20 && first < 0x7f)) return "text/plain";
  return "application/octet-stream";
}
