import { create, toBinary } from "@bufbuild/protobuf";
import { BridgeHub, type HubLimits, type HubParts } from "../../src/mesh/bridge/hub.ts";
import type { Link } from "../../src/mesh/bridge/link.ts";
import { TopicFilters } from "../../src/mesh/bridge/topic-rules.ts";
import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeBackend,
  BridgeError,
  type BridgeLinkChannel,
  type BridgeMessage,
  type BridgePrincipal,
  type BridgeRequest,
} from "../../src/platform/bridge.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { AgentRecordSchema, SignedRecordSchema } from "../../src/wire/agent_mesh/v1/record_pb.ts";
import { identity, type TestIdentity } from "./grpc-identity.ts";
import { keptLog } from "./kept-log.ts";

/** @returns an agent as its mesh knows it, with a record that it signed */
export function agentOf({ signer }: TestIdentity, agentId: string, sequence = 1): BridgeAgent {
  const record = toBinary(
    AgentRecordSchema,
    create(AgentRecordSchema, {
      publicKey: signer.publicKey,
      epoch: 1,
      sequence,
      agentId,
      version: "0.1.0",
      capabilities: { architecture: "arm64", cpuCores: 4, features: ["bridge"] },
      health: { status: "ok", powerMode: "normal" },
    }),
  );
  const signature = signer.sign("agent-mesh/record/1", record);
  const signed = toBinary(SignedRecordSchema, create(SignedRecordSchema, { record, signature }));
  return { peerId: signer.peerId, state: "alive", record: signed, via: [] };
}

/** A mesh that is no more than its agents and topics: several bridges can stand in it. */
export class ToyMesh {
  readonly agents = new Map<string, BridgeAgent>();
  readonly published: BridgeMessage[] = [];
  readonly asked: BridgeRequest[] = [];
  answer: (request: BridgeRequest) => Promise<Uint8Array> = ({ payload }) =>
    Promise.resolve(payload);
  readonly #listeners = new Set<(change: BridgeAgentChange) => void>();
  readonly #subscribers = new Set<{
    readonly self: string;
    readonly filters: TopicFilters;
    readonly receive: (message: BridgeMessage) => void;
  }>();

  upsert(agent: BridgeAgent): void {
    this.agents.set(agent.peerId, agent);
    for (const hear of this.#listeners) hear({ kind: "upserted", agent });
  }

  remove(peerId: string): void {
    this.agents.delete(peerId);
    for (const hear of this.#listeners) hear({ kind: "removed", peerId });
  }

  /** Somebody in the mesh publishes. */
  say(message: BridgeMessage, except?: string): number {
    this.published.push(message);
    const heard = [...this.#subscribers].filter(
      ({ self, filters }) => self !== except && filters.match(message.topic),
    );
    for (const { receive } of heard) receive(message);
    return heard.length + 1;
  }

  /** @returns the mesh as one agent in it has it */
  backendOf(self: string): BridgeBackend {
    const no = (): never => {
      throw new BridgeError("bridge.unsupported", "no bulk in a toy");
    };
    return {
      self,
      request: (request) => {
        this.asked.push(request);
        return this.answer(request);
      },
      publish: (message) => Promise.resolve(this.say(message, self)),
      subscribe: (filters, receive) => {
        const own = { self, filters: new TopicFilters(filters), receive };
        this.#subscribers.add(own);
        return () => void this.#subscribers.delete(own);
      },
      agents: () => [...this.agents.values()],
      onAgents: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      uploadOffset: no,
      upload: no,
      download: no,
    };
  }
}

/** A bridge of a test's own, with the agent and the mesh it stands in. */
export interface TestBridge {
  readonly hub: BridgeHub;
  readonly mesh: ToyMesh;
  readonly identity: TestIdentity;
  readonly peerId: string;
}

/**
 * Attaches a device to a gateway without a network: frames arrive in later turns, in order.
 * @returns what breaks the connection
 */
export function wire(device: TestBridge, gateway: TestBridge): () => void {
  let down: Link | undefined;
  let up: Link | undefined;
  let broken = false;
  const end = (error?: BridgeError): void => {
    if (broken) return;
    broken = true;
    queueMicrotask(() => {
      down?.closed(error);
      up?.closed(error);
    });
  };
  const to = (link: () => Link | undefined): BridgeLinkChannel => ({
    queuedBytes: 0,
    send: (frame) =>
      queueMicrotask(() => {
        if (!broken) link()?.frame(frame);
      }),
    close: end,
  });
  up = device.hub.attach(
    to(() => down),
    everybody,
    () => undefined,
  );
  down = gateway.hub.link(
    to(() => up),
    everybody,
  );
  return end;
}

const everybody: BridgePrincipal = { name: "everybody", allows: () => true };

/** Bounds that tests do not reach, unless they say others. */
const limits: HubLimits = {
  messageBytesMax: 104_857_600,
  requestsMax: 16,
  timeoutMsMax: 600_000,
  linksMax: 8,
  subscribersMax: 8,
  agentsMax: 100,
  hopsMax: 4,
  seenMax: 1_000,
  queueBytesMax: 8_388_608,
  publishesMax: 64,
  handshakeMs: 5_000,
};

/** Starts the bridge of an agent called `name`, which is the first of its mesh unless one is given. */
export function bridgeOf(
  name: string,
  clock: Clock,
  more: Partial<Omit<HubParts, "limits">> & {
    mesh?: ToyMesh;
    limits?: Partial<HubLimits>;
  } = {},
): TestBridge {
  const { mesh = new ToyMesh(), ...parts } = more;
  const own = identity(name);
  mesh.upsert(agentOf(own, name));
  const everything = [{ filter: "#", prefix: "" }];
  const hub = new BridgeHub({
    bridgeId: `${name}/bridge`,
    backend: mesh.backendOf(own.signer.peerId),
    signer: own.signer,
    clock,
    random: new SeededRandom(name),
    logger: keptLog(),
    topicsUp: everything,
    topicsDown: everything,
    ...parts,
    limits: { ...limits, ...more.limits },
  });
  hub.start();
  return { hub, mesh, identity: own, peerId: own.signer.peerId };
}
