import { type BulkSink, type BulkSource, NetworkError, Refused } from "./network.ts";
import type { PeerId } from "./signer.ts";

/** A stable code for what a bridge could not or would not do; `docs/bridge.md` has the table with gRPC's own codes. */
export type BridgeCode =
  /** Nobody says who asks, or the token is wrong. */
  | "bridge.unauthenticated"
  /** Known, and not allowed to. */
  | "bridge.denied"
  | "bridge.malformed"
  /** No such agent, or no such content. */
  | "bridge.not-found"
  /** Several agents bear that agent id. */
  | "bridge.ambiguous"
  /** It is known, and there is no way to it right now. */
  | "bridge.unreachable"
  | "bridge.timeout"
  | "bridge.closed"
  | "bridge.too-large"
  | "bridge.queue-full"
  /** More at once than the bound. */
  | "bridge.busy"
  /** A subscriber did not read what came for it. */
  | "bridge.slow-reader"
  /** It came over this bridge before, or over too many. */
  | "bridge.loop"
  /** An offset or digest that is not ours. */
  | "bridge.conflict"
  /** The agent that was asked says no; `refusal` is its code. */
  | "bridge.refused"
  | "bridge.unsupported"
  | "bridge.failed";

/** Something did not cross the bridge. */
export class BridgeError extends Error {
  override readonly name = "BridgeError";
  readonly code: BridgeCode;
  /** With `bridge.refused`: the other side's own code, for example `access.denied`. */
  readonly refusal: string | undefined;
  constructor(
    code: BridgeCode,
    message: string,
    options?: ErrorOptions & { readonly refusal?: string | undefined },
  ) {
    super(message, options);
    this.code = code;
    this.refusal = options?.refusal;
  }
}

const fromNetwork: Readonly<Record<NetworkError["code"], BridgeCode>> = {
  "network.unreachable": "bridge.unreachable",
  "network.timeout": "bridge.timeout",
  "network.closed": "bridge.closed",
  "network.unsupported": "bridge.unsupported",
  "network.queue-full": "bridge.queue-full",
  "network.too-large": "bridge.too-large",
  "network.barred": "bridge.denied",
  "network.refused": "bridge.refused",
};

/** @returns what an error means to somebody on the other side; what is no business of theirs is left out */
export function toBridgeError(error: unknown): BridgeError {
  if (error instanceof BridgeError) return error;
  if (error instanceof Refused)
    return new BridgeError("bridge.refused", error.message, { refusal: error.code, cause: error });
  if (error instanceof NetworkError)
    return new BridgeError(fromNetwork[error.code], error.message, {
      refusal: error.refusal,
      cause: error,
    });
  return new BridgeError("bridge.failed", "internal error", { cause: error });
}

/** What somebody may be allowed to do over a bridge. */
export type BridgeAction =
  | "exchange"
  | "publish"
  | "subscribe"
  | "agents"
  | "upload"
  | "download"
  | "link";

/** Somebody whose credentials were found good. */
export interface BridgePrincipal {
  /** For logs; also what the bound on requests at once counts by. */
  readonly name: string;
  /** Where the credentials belong to one device: no other may attach with them. */
  readonly peerId?: PeerId;
  /** @param object task, topic, topic filter, name of content, or peer id, by the kind of action */
  allows(action: BridgeAction, object: string): boolean;
}

/** What somebody brings along. */
export interface BridgeCredentials {
  /** Of `authorization: Bearer`. */
  readonly token?: string;
  /** DER of a client certificate that leads to the configured authority. */
  readonly certificate?: Uint8Array;
  readonly remoteAddress: string;
}

/** Says who it is, or undefined for nobody that is known. Should not throw; where it does, the call fails. */
export type Authenticate = (
  credentials: BridgeCredentials,
) => BridgePrincipal | undefined | Promise<BridgePrincipal | undefined>;

/** A request on its way over bridges. */
export interface BridgeRequest {
  /** At most 64 bytes; tells it apart in logs. */
  readonly id: string;
  /** Peer id or agent id. */
  readonly target: string;
  readonly task: string;
  readonly payload: Uint8Array;
  /** Ids of the bridges it came over, in order. */
  readonly via: readonly string[];
  readonly timeoutMs: number;
}

/** A published message on its way over bridges. */
export interface BridgeMessage {
  /** At most 64 bytes; the same wherever the message turns up. */
  readonly id: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Its author; undefined when a client of the cluster published it. */
  readonly from?: PeerId;
  /** Ids of the bridges it came over, in order. */
  readonly via: readonly string[];
}

/** How an agent is doing, as far as the mesh can tell. */
export type BridgeAgentState = "alive" | "suspect" | "dead" | "left";

/** An agent of the fleet. */
export interface BridgeAgent {
  readonly peerId: PeerId;
  readonly state: BridgeAgentState;
  /** An encoded `agent_mesh.v1.SignedRecord`, whose signature was checked. */
  readonly record: Uint8Array;
  /** Ids of the bridges between here and there, nearest first; empty for the own mesh. */
  readonly via: readonly string[];
}

/** What has changed about the fleet. */
export type BridgeAgentChange =
  | { readonly kind: "upserted"; readonly agent: BridgeAgent }
  | { readonly kind: "removed"; readonly peerId: PeerId };

/** Content that is to be sent in bulk. */
export interface BridgeContent {
  /** At most 256 bytes. */
  readonly name: string;
  readonly sizeBytes: number;
  /** 32 bytes. */
  readonly sha256: Uint8Array;
}

/** The mesh that a bridge ends in. */
export interface BridgeBackend {
  readonly self: PeerId;
  /**
   * Asks an agent of the mesh, or this one.
   * @throws BridgeError; with `bridge.not-found` when the mesh has no such agent
   */
  request(request: BridgeRequest, from: BridgePrincipal): Promise<Uint8Array>;
  /**
   * Publishes in the mesh. Where another bridge stands in the same mesh, `id` and `via` have to travel with the
   * payload (`encodeTopicMessage` makes an envelope), or a message goes round once more. Resolves with the number of
   * neighbours. @throws BridgeError
   */
  publish(message: BridgeMessage): Promise<number>;
  /** @param filters MQTT topic filters @returns what ends it */
  subscribe(filters: readonly string[], receive: (message: BridgeMessage) => void): () => void;
  /** The agents of this mesh, the own one among them; `via` is empty. */
  agents(): readonly BridgeAgent[];
  /** @returns what ends it */
  onAgents(listener: (change: BridgeAgentChange) => void): () => void;
  /** How much of it is there already. @throws BridgeError */
  uploadOffset(target: string, content: BridgeContent, from: BridgePrincipal): Promise<number>;
  /** @throws BridgeError */
  upload(target: string, content: BridgeContent, from: BridgePrincipal): Promise<BulkSink>;
  /** @throws BridgeError */
  download(target: string, name: string, from: BridgePrincipal): Promise<BulkSource>;
}

/** One end of a connection that keeps a device attached: whole frames, in order. */
export interface BridgeLinkChannel {
  /** Bytes that wait for the other end. */
  readonly queuedBytes: number;
  /** Takes an encoded frame. The caller sees to `queuedBytes`. */
  send(frame: Uint8Array): void;
  /** Ends it, with the error where there is one; `closed` of the receiver is not called for it. Idempotent. */
  close(error?: BridgeError): void;
}

/** Who hears what comes in over such a connection. */
export interface BridgeLinkReceiver {
  frame(frame: Uint8Array): void;
  closed(error: BridgeError | undefined): void;
}

/** What a server does with what it is asked. Throws BridgeError, or rejects with it. */
export interface BridgeHandler {
  exchange(request: BridgeRequest, from: BridgePrincipal): Promise<Uint8Array>;
  /** @returns to how many it was handed; 0 for an id seen before */
  publish(message: BridgeMessage, from: BridgePrincipal): Promise<number>;
  /** @returns what ends it */
  subscribe(
    filters: readonly string[],
    from: BridgePrincipal,
    receive: (message: BridgeMessage) => void,
  ): () => void;
  /** In order of peer ids. */
  agents(from: BridgePrincipal): readonly BridgeAgent[];
  /** @returns what ends it */
  watchAgents(from: BridgePrincipal, listener: (change: BridgeAgentChange) => void): () => void;
  uploadOffset(target: string, content: BridgeContent, from: BridgePrincipal): Promise<number>;
  upload(target: string, content: BridgeContent, from: BridgePrincipal): Promise<BulkSink>;
  download(target: string, name: string, from: BridgePrincipal): Promise<BulkSource>;
  link(channel: BridgeLinkChannel, from: BridgePrincipal): BridgeLinkReceiver;
}

/** Numbers since the start; they only grow, but for those that say "now". */
export interface BridgeServerCounters {
  readonly connectionsNow: number;
  readonly connectionsRefused: number;
  readonly callsNow: number;
  /** Ended calls by the name of their gRPC status, for example `RESOURCE_EXHAUSTED`. */
  readonly statuses: Readonly<Record<string, number>>;
  /** By code of the refusal. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** The door of a bridge: what clients of the cluster and attached devices connect to. */
export interface BridgeServer {
  /** @throws Error naming the setting when the address can not be had or a file not be used */
  start(handler: BridgeHandler): Promise<void>;
  /** Lets calls end for a while, then cuts them off. Idempotent. */
  stop(): Promise<void>;
  /** `grpc://host:port` or `grpcs://host:port`; undefined while it does not listen. */
  address(): string | undefined;
  counters(): BridgeServerCounters;
}

/** Numbers since the start; they only grow. */
export interface BridgeClientCounters {
  readonly calls: number;
  readonly callsFailed: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** A bridge's way to another bridge's door. */
export interface BridgeClient {
  /** Attaches: exactly one call of `closed` ends it, unless the channel's `close` did. Does not dial again. */
  link(receiver: BridgeLinkReceiver): BridgeLinkChannel;
  /** @throws BridgeError */
  exchange(request: BridgeRequest): Promise<Uint8Array>;
  /** @returns to how many it was handed @throws BridgeError */
  publish(message: BridgeMessage): Promise<number>;
  /**
   * Sends content from where the other end has it; a later call goes on where this one stopped.
   * @throws BridgeError
   */
  upload(target: string, source: BulkSource, onProgress?: (bytes: number) => void): Promise<void>;
  /**
   * Fetches content.
   * @param accept is told what it is, and says where it goes and what is there already
   * @throws BridgeError
   */
  download(
    target: string,
    name: string,
    resume: { readonly offset: number; readonly sha256: Uint8Array } | undefined,
    accept: (content: BridgeContent) => BulkSink | Promise<BulkSink>,
  ): Promise<void>;
  counters(): BridgeClientCounters;
  /** Breaks every call off. Idempotent. */
  stop(): void;
}
