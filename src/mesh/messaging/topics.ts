import { ReplayGuard } from "../../access/replay-guard.ts";
import type { Network, TopicMessage, TopicVerdict } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { decodeEnvelope, encodeEnvelope, type Origin } from "./envelope.ts";
import { topicId } from "./names.ts";

const AUTHORS_MAX = 4_096;
const LISTENERS_MAX = 64;

/** What else is known of a published message. */
export interface TopicDelivery {
  /** Of this author only one message has it; at most 64 characters. */
  readonly id: string;
  /** Set when a bridge passed it on. */
  readonly origin?: Origin;
}

/** Hears what is published. @param from who published it in this mesh: of what came over a bridge, the bridge */
export type TopicListener = (from: PeerId, payload: Uint8Array, delivery: TopicDelivery) => void;

/** Numbers since the start, for metrics. */
interface TopicCounters {
  readonly replayed: number;
  readonly malformed: number;
}

/** Messages to all who listen: each comes once at most, from whom it says, in no promised order. */
export class Topics {
  readonly #network: Network;
  readonly #epoch: number;
  readonly #onFault: (error: unknown) => void;
  readonly #replays = new ReplayGuard({ authorsMax: AUTHORS_MAX });
  readonly #listeners = new Map<string, Set<TopicListener>>();
  readonly #leave = new Map<string, () => void>();
  #sequence = 0;
  #replayed = 0;
  #malformed = 0;

  /** @param onFault hears what listeners throw */
  constructor(network: Network, epoch: number, onFault: (error: unknown) => void) {
    this.#network = network;
    this.#epoch = epoch;
    this.#onFault = onFault;
  }

  /**
   * @returns what ends it
   * @throws RangeError for a name that can not be one, or when 64 listen to the topic already
   */
  subscribe(topic: string, listener: TopicListener): () => void {
    const id = topicId(topic);
    const listeners = this.#listeners.get(topic) ?? new Set();
    if (listeners.size >= LISTENERS_MAX)
      throw new RangeError(`${LISTENERS_MAX} listen to ${topic} already`);
    listeners.add(listener);
    this.#listeners.set(topic, listeners);
    if (!this.#leave.has(topic))
      this.#leave.set(
        topic,
        this.#network.subscribe(id, (message) => this.#take(message, listeners)),
      );
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      this.#leave.get(topic)?.();
      this.#leave.delete(topic);
      this.#listeners.delete(topic);
    };
  }

  /**
   * @param origin where a bridge has it from
   * @returns to how many neighbours it went @throws RangeError, NetworkError
   */
  broadcast(topic: string, payload: Uint8Array, origin?: Origin): Promise<number> {
    const id = topicId(topic);
    this.#sequence++;
    const place = { epoch: this.#epoch, sequence: this.#sequence, oldest: 0 };
    const envelope = { ...place, payload, ...(origin !== undefined && { origin }) };
    return this.#network.publish(id, encodeEnvelope(envelope));
  }

  /** Topics with a listener. */
  subscribed(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  counters(): TopicCounters {
    return { replayed: this.#replayed, malformed: this.#malformed };
  }

  #take({ from, payload }: TopicMessage, listeners: ReadonlySet<TopicListener>): TopicVerdict {
    const envelope = decodeEnvelope(payload);
    if (envelope === undefined) {
      this.#malformed++;
      return "reject";
    }
    // Not the neighbour's fault: it may have been away when the original went round.
    if (this.#replays.accept(from, envelope.epoch, envelope.sequence) !== "fresh") {
      this.#replayed++;
      return "ignore";
    }
    const { epoch, sequence, payload: content, origin } = envelope;
    const delivery = { id: `${epoch}.${sequence}`, ...(origin !== undefined && { origin }) };
    for (const listener of listeners) {
      try {
        listener(from, content, delivery);
      } catch (error) {
        this.#onFault(error);
      }
    }
    return "accept";
  }
}
