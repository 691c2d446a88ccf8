const TOPICS_MAX = 10_000;
/** Longer ones are no topics of readings, and not worth the memory. */
const TOPIC_LENGTH_MAX = 512;

/** What tells whether anybody listens. */
export interface Listeners {
  /** Grows whenever a subscription comes or goes. */
  generation(): number;
  /** Clients that are connected. */
  hasListener(topic: string): boolean;
  /** Sessions, also of clients that are away. */
  hasSession(topic: string): Promise<boolean>;
}

/**
 * Remembers which topics nobody listens to here: most readings go to the outbox only, and the whole of local
 * delivery can be left out for them. Unknown counts as heard, so that nothing is missed while it is looked up.
 */
export class QuietTopics {
  readonly #listeners: Listeners;
  /** `undefined`: being looked up. */
  readonly #quiet = new Map<string, boolean | undefined>();
  #generation = -1;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  isQuiet(topic: string): boolean {
    if (topic.length > TOPIC_LENGTH_MAX) return false;
    const generation = this.#listeners.generation();
    if (generation !== this.#generation || this.#quiet.size >= TOPICS_MAX) {
      this.#quiet.clear();
      this.#generation = generation;
    }
    const known = this.#quiet.get(topic);
    if (known === undefined && !this.#quiet.has(topic)) this.#lookUp(topic, generation);
    return known === true;
  }

  #lookUp(topic: string, generation: number): void {
    if (this.#listeners.hasListener(topic)) {
      this.#quiet.set(topic, false);
      return;
    }
    this.#quiet.set(topic, undefined);
    this.#listeners.hasSession(topic).then(
      (has) => {
        if (generation === this.#generation) this.#quiet.set(topic, !has);
      },
      () => {
        // It stays heard: delivery itself meets the fault and tells it.
        if (generation === this.#generation) this.#quiet.set(topic, false);
      },
    );
  }
}
