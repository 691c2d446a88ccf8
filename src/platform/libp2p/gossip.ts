import { type GossipSub, gossipsub, type Message, TopicValidatorResult } from "@libp2p/gossipsub";
import { createTopicScoreParams, type TopicScoreParams } from "@libp2p/gossipsub/score";
import type { NetworkGate, NetworkPace, TopicMessage, TopicVerdict } from "../network.ts";
import { NetworkError } from "../network.ts";
import type { Tally } from "../network-tally.ts";
import type { Libp2pSettings } from "./settings.ts";

/** Largest RPC that gossipsub reads whole; several messages travel in one. */
const RPC_BYTES_BEYOND_MESSAGE = 65_536;
/** A copy that comes later than this would count as new, so it is longer than any detour takes. */
const SEEN_MS = 300_000;
const VERDICTS: Readonly<Record<TopicVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
};

/** @returns gossipsub 1.2 as a service of the node: messages are signed, and neighbours scored */
export function gossipService({ messageBytesMax, queueBytesMax, pace }: Libp2pSettings) {
  return gossipsub({
    allowPublishToZeroTopicPeers: true,
    fallbackToFloodsub: false,
    // In a mesh of devices a message is worth more than the bytes of a second copy.
    floodPublish: true,
    doPX: false,
    heartbeatInterval: pace.gossipIntervalMs,
    seenTTL: SEEN_MS,
    maxInboundDataLength: messageBytesMax + RPC_BYTES_BEYOND_MESSAGE,
    maxOutboundBufferSize: queueBytesMax,
    maxTopicBytesPerPeer: 262_144,
    runOnLimitedConnection: true,
    scoreParams: {
      // A whole fleet behind one gateway has one address; who brings many identities is the gate's business.
      IPColocationFactorWeight: 0,
      behaviourPenaltyWeight: -10,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyDecay: 0.9,
      decayInterval: 10_000,
      retainScore: 600_000,
    },
    scoreThresholds: { gossipThreshold: -50, publishThreshold: -100, graylistThreshold: -200 },
  });
}

/** What gossipsub has and does not declare: all of it is read anew whenever it is used. */
interface GossipInternals {
  readonly opts: { heartbeatInterval: number };
  readonly score: {
    readonly params: { readonly topics: Record<string, TopicScoreParams> };
    /** Called for a message that does not get as far as a validator: unsigned, signed wrongly, or none at all. */
    rejectInvalidMessage(neighbour: string, topic: string): void;
  };
}

/** Topics of one node. */
export class Gossip {
  readonly #pubsub: GossipSub & GossipInternals;
  readonly #gate: NetworkGate;
  readonly #tally: Tally;
  readonly #messageBytesMax: number;
  readonly #self: string;
  #running = false;

  constructor(pubsub: GossipSub, self: string, settings: Libp2pSettings, tally: Tally) {
    this.#pubsub = counting(pubsub as GossipSub & GossipInternals, settings.gate, tally);
    this.#self = self;
    this.#gate = settings.gate;
    this.#tally = tally;
    this.#messageBytesMax = settings.messageBytesMax;
  }

  stopped(): void {
    this.#running = false;
  }

  subscribe(topic: string, receive: (message: TopicMessage) => TopicVerdict): () => void {
    const { topicValidators } = this.#pubsub;
    if (topicValidators.has(topic)) throw new Error(`${topic} has a listener already`);
    topicValidators.set(
      topic,
      (neighbour, message) => VERDICTS[this.#judge(neighbour.toString(), message, receive)],
    );
    this.#pubsub.score.params.topics[topic] = topicScore;
    if (this.#running) this.#pubsub.subscribe(topic);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      topicValidators.delete(topic);
      if (this.#running) this.#pubsub.unsubscribe(topic);
      delete this.#pubsub.score.params.topics[topic];
    };
  }

  /** Joins the topics that were subscribed to before. */
  started(): void {
    this.#running = true;
    for (const topic of this.#pubsub.topicValidators.keys()) this.#pubsub.subscribe(topic);
  }

  async publish(topic: string, payload: Uint8Array): Promise<number> {
    if (payload.length > this.#messageBytesMax)
      throw new NetworkError(
        "network.too-large",
        `a message of ${payload.length} bytes is past the ${this.#messageBytesMax} that mesh.limits.messageBytesMax allows`,
      );
    if (!this.#running) throw new NetworkError("network.closed", "the network is not running");
    try {
      const { recipients } = await this.#pubsub.publish(topic, payload);
      this.#tally.messagesPublished++;
      this.#tally.sentBytes += payload.length * recipients.length;
      return recipients.length;
    } catch (error) {
      throw new NetworkError("network.closed", `nothing could be published to ${topic}`, {
        cause: error,
      });
    }
  }

  setPace({ gossipIntervalMs }: NetworkPace): void {
    // Read anew for every next heartbeat.
    this.#pubsub.opts.heartbeatInterval = gossipIntervalMs;
  }

  #judge(
    neighbour: string,
    message: Message,
    receive: (message: TopicMessage) => TopicVerdict,
  ): TopicVerdict {
    // Without a signature nobody knows whose it is.
    if (message.type !== "signed") return "reject";
    const { topic, data: payload } = message;
    const from = message.from.toString();
    if (from === this.#self) return "ignore";
    this.#tally.receivedBytes += payload.length;
    if (payload.length > this.#messageBytesMax) {
      this.#gate.offence(neighbour, "oversize");
      this.#tally.refused("oversize");
      return "reject";
    }
    const refusal =
      this.#gate.allows(neighbour, topic, payload.length) ??
      (from === neighbour ? undefined : this.#gate.allows(from, topic, 0));
    if (refusal !== undefined) {
      this.#tally.refused(refusal);
      return "ignore";
    }
    const verdict = receive({ topic, from, payload });
    if (verdict === "accept") this.#tally.messagesDelivered++;
    else if (verdict === "reject") this.#gate.offence(neighbour, "invalid-topic-message");
    return verdict;
  }
}

/** @returns the same; what it throws away by itself is told too */
function counting<G extends GossipInternals>(pubsub: G, gate: NetworkGate, tally: Tally): G {
  const { score } = pubsub;
  const reject = score.rejectInvalidMessage.bind(score);
  score.rejectInvalidMessage = (neighbour, topic) => {
    reject(neighbour, topic);
    tally.refused("invalid-topic-message");
    gate.offence(neighbour, "invalid-topic-message");
  };
  return pubsub;
}

/** Who passes new messages on is worth a little, who passes invalid ones a lot less. */
const topicScore = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 3_600,
  firstMessageDeliveriesWeight: 0.5,
  firstMessageDeliveriesDecay: 0.9,
  firstMessageDeliveriesCap: 100,
  // Topics of a device fleet are quiet for hours: silence is no fault.
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesThreshold: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -20,
  invalidMessageDeliveriesDecay: 0.9,
});
