import { decodeTopicMessage } from "../mesh/bridge/frames.ts";
import { PUBLISH_TASK } from "../mesh/bridge/hand-over.ts";
import { TopicFilters } from "../mesh/bridge/topic-rules.ts";
import { openUpload, probeUpload, type SendContent } from "../mesh/bridge/upload-pipe.ts";
import type { Member, MemberChange } from "../mesh/membership/member.ts";
import type { MeshNode } from "../mesh/node.ts";
import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeBackend,
  type BridgeContent,
  BridgeError,
  type BridgeMessage,
  type BridgeRequest,
  toBridgeError,
} from "../platform/bridge.ts";
import type { Clock } from "../platform/clock.ts";
import { type BulkSink, type BulkSource, NetworkError, Refused } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";

/** What a bridge sees of the mesh that its agent is part of. */
export class MeshBackend implements BridgeBackend {
  readonly self: PeerId;
  readonly #node: MeshNode;
  readonly #clock: Clock;
  #filters = new TopicFilters([]);
  #receive: ((message: BridgeMessage) => void) | undefined;

  constructor(node: MeshNode, clock: Clock) {
    this.self = node.id;
    this.#node = node;
    this.#clock = clock;
    node.attachTask(PUBLISH_TASK, (from, payload) => this.#handedOver(from, payload), {
      permission: "publish",
    });
  }

  /** Does the task of the mesh that the request names; to the agent that does it, this one asks. */
  async request({ target, task, payload, timeoutMs }: BridgeRequest): Promise<Uint8Array> {
    const late = Promise.withResolvers<never>();
    // A link that has to be opened first counts as well.
    const timer = this.#clock.setTimer("bridge.mesh-request", timeoutMs, () =>
      late.reject(new BridgeError("bridge.timeout", "no answer came in time")),
    );
    try {
      const asked = this.#node.callTask(target, task, payload, { timeoutMs });
      return await Promise.race([asked, late.promise]);
    } catch (error) {
      throw meaningOf(error);
    } finally {
      timer.cancel();
    }
  }

  async publish({ topic, payload, id, from, via }: BridgeMessage): Promise<number> {
    try {
      const origin = { id, via, ...(from !== undefined && { from }) };
      return await this.#node.broadcast(topic, payload, origin);
    } catch (error) {
      throw meaningOf(error);
    }
  }

  /**
   * Filters without wildcards are listened to as topics of the mesh, which have no other. What fits the others comes in
   * when a member hands it over (`publishOverBridges`).
   */
  subscribe(filters: readonly string[], receive: (message: BridgeMessage) => void): () => void {
    this.#filters = new TopicFilters(filters);
    this.#receive = receive;
    const plain = new Set(filters.filter((filter) => !/[+#]/.test(filter)));
    const ends = [...plain].map((topic) =>
      this.#node.subscribe(topic, (author, payload, { id, origin }) =>
        receive({ topic, payload, ...(origin ?? { id, from: author, via: [] }) }),
      ),
    );
    return () => {
      for (const end of ends) end();
      this.#receive = undefined;
    };
  }

  agents(): readonly BridgeAgent[] {
    return [...this.#node.members()].map(agentOf);
  }

  onAgents(listener: (change: BridgeAgentChange) => void): () => void {
    return this.#node.onMember(({ kind, peer, after }: MemberChange) =>
      listener(
        kind === "forgotten"
          ? { kind: "removed", peerId: peer }
          : { kind: "upserted", agent: agentOf(after) },
      ),
    );
  }

  async uploadOffset(target: string, content: BridgeContent): Promise<number> {
    try {
      if (target !== this.self) return await probeUpload(content, this.#sending(target));
      const sink = await this.#node.takeContent({ ...content, from: this.self });
      sink.broken(new NetworkError("network.closed", "this was only a question"));
      return sink.offset;
    } catch (error) {
      throw meaningOf(error);
    }
  }

  async upload(target: string, content: BridgeContent): Promise<BulkSink> {
    try {
      if (target === this.self)
        return await this.#node.takeContent({ ...content, from: this.self });
      return await openUpload(content, this.#sending(target));
    } catch (error) {
      throw meaningOf(error);
    }
  }

  download(): Promise<BulkSource> {
    const said = "agents of this mesh offer no content to be fetched";
    return Promise.reject(new BridgeError("bridge.unsupported", said));
  }

  #sending(target: string): SendContent {
    return (source) => this.#node.sendContent(target, source);
  }

  #handedOver(from: PeerId, payload: Uint8Array): Uint8Array {
    let message: BridgeMessage;
    try {
      message = decodeTopicMessage(payload);
    } catch (error) {
      throw new Refused("bridge.malformed", (error as Error).message);
    }
    const { id, topic, payload: content } = message;
    if (this.#receive === undefined || !this.#filters.match(topic))
      throw new Refused("bridge.denied", `no rule lets ${topic} out of the mesh`);
    // Who hands it over is its author, whatever it says: only that is proven.
    this.#receive({ id, topic, payload: content, from, via: [] });
    return new Uint8Array(0);
  }
}

function agentOf({ record, state }: Pick<Member, "record" | "state">): BridgeAgent {
  return { peerId: record.peerId, state, record: record.bytes, via: [] };
}

/** A name that the mesh does not have is the fault of who asked. */
function meaningOf(error: unknown): BridgeError {
  if (error instanceof RangeError)
    return new BridgeError("bridge.malformed", error.message, { cause: error });
  return toBridgeError(error);
}
