import type { MqttOptions } from "./options.ts";
import { topicFault, topicMatcher } from "./topic-filter.ts";
import type { TopicMappingView } from "./view.ts";

/** One entry of `mqtt.topics`, ready to be used. */
export interface TopicMapping {
  readonly filter: string;
  readonly priority: number;
  readonly expireAfterMs: number;
  readonly format: "any" | "json";
  readonly keep: "all" | "latest";
  readonly key?: string;
  received: number;
}

/** What is known of a topic. */
export interface KnownTopic {
  readonly mapping: TopicMapping | undefined;
  /** Why nothing may be published there. */
  readonly fault: string | undefined;
}

const CACHE_MAX = 10_000;
/** Topics of readings are no longer; a publisher of long ones must not fill the memory. */
const CACHED_TOPIC_MAX = 512;

/** Finds what a topic is mapped to; the first entry that matches counts. */
export class TopicMap {
  readonly #entries: readonly { mapping: TopicMapping; matches: (topic: string) => boolean }[];
  /** Sensors publish to the same few topics again and again. */
  readonly #cache = new Map<string, KnownTopic>();

  /** @throws Error naming the entry whose filter is not well-formed. */
  constructor(topics: MqttOptions["topics"], expireAfterMs: number) {
    this.#entries = topics.map((topic, at) => {
      try {
        return {
          mapping: {
            filter: topic.filter,
            priority: topic.priority,
            expireAfterMs: topic.expireAfterMs ?? expireAfterMs,
            format: topic.format,
            keep: topic.keep,
            ...(topic.key !== undefined && { key: topic.key }),
            received: 0,
          },
          matches: topicMatcher(topic.filter),
        };
      } catch (error) {
        throw new Error(`mqtt.topics[${at}].filter: ${(error as Error).message}`, { cause: error });
      }
    });
  }

  find(topic: string): KnownTopic {
    const known = this.#cache.get(topic);
    if (known !== undefined) return known;
    const mapping = this.#entries.find(({ matches }) => matches(topic))?.mapping;
    const found = { mapping, fault: topicFault(topic) };
    if (topic.length > CACHED_TOPIC_MAX) return found;
    if (this.#cache.size >= CACHE_MAX) this.#cache.clear();
    this.#cache.set(topic, found);
    return found;
  }

  views(): readonly TopicMappingView[] {
    return this.#entries.map(({ mapping }) => ({ ...mapping }));
  }
}
