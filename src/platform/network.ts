import type { PeerId } from "./signer.ts";

/** How the bytes of a link travel. */
export type Transport = "tcp" | "ws" | "quic" | "webrtc" | "relay";

/** How a node came to be known. */
export type DiscoveryMethod = "mdns" | "dht" | "bootstrap" | "exchange" | "inbound";

/** An authenticated, encrypted connection to a neighbour. */
export interface Link {
  readonly peer: PeerId;
  readonly direction: "inbound" | "outbound";
  readonly transport: Transport;
  /** Multiaddress of the other end. */
  readonly address: string;
  /** Monotonic milliseconds at which it was opened. */
  readonly openedAtMs: number;
}

/** What a network tells of its own accord. */
export type NetworkEvent =
  /** The first link to a peer is open. */
  | { readonly kind: "link-up"; readonly link: Link }
  /** The last link to a peer is gone. */
  | { readonly kind: "link-down"; readonly peer: PeerId }
  /** Somebody may be reachable there. Nobody has dialled yet. */
  | {
      readonly kind: "discovered";
      readonly peer: PeerId;
      readonly addresses: readonly string[];
      readonly by: DiscoveryMethod;
    }
  /** The own addresses have changed. */
  | { readonly kind: "addresses"; readonly addresses: readonly string[] };

/** Something could not be sent or reached; `code` is stable. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly code:
    | "network.unreachable"
    | "network.timeout"
    | "network.closed"
    | "network.unsupported"
    | "network.queue-full"
    | "network.too-large"
    | "network.barred"
    | "network.refused";
  /** With `network.refused`: the other side's own code, for example `access.denied`. */
  readonly refusal: string | undefined;
  constructor(
    code: NetworkError["code"],
    message: string,
    options?: ErrorOptions & { readonly refusal?: string },
  ) {
    super(message, options);
    this.code = code;
    this.refusal = options?.refusal;
  }
}

/** A service throws this to say no; the other side gets its code. Anything else it throws becomes `service.failed`. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The answer to requests of a protocol that has none. @throws Refused `service.unsupported`, always */
export function messagesOnly(protocol: string): () => never {
  return () => {
    throw new Refused("service.unsupported", `${protocol} takes messages only`);
  };
}

/** One kind of conversation, with its bounds on either side. */
export interface Protocol {
  /** Versioned name, for example `/agent-mesh/membership/1.0.0`. */
  readonly id: string;
  /** Largest payload either way. A peer that sends a larger one loses its stream. */
  readonly messageBytesMax: number;
  /** Most payload that waits for one peer before `send` and `request` say `network.queue-full`. */
  readonly queueBytesMax: number;
  /** Most requests of one peer that are answered at once; further ones are refused with `rate.limited`. */
  readonly requestsInFlightMax: number;
}

/** What a node does with what it is sent. One that leaves a method out refuses that kind. */
export interface Service {
  /** A message that wants no answer. */
  message?(from: PeerId, payload: Uint8Array): void;
  /** @throws Refused */
  request?(from: PeerId, payload: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Verdict on a published message: `reject` counts against the neighbour that passed it on. */
export type TopicVerdict = "accept" | "ignore" | "reject";

/** A message that somebody published; its signature was checked. */
export interface TopicMessage {
  readonly topic: string;
  /** Its author, not the neighbour that passed it on. */
  readonly from: PeerId;
  readonly payload: Uint8Array;
}

/** Content to send in bulk. */
export interface BulkSource {
  /** At most 256 bytes. Name, size and digest together make an interrupted transfer go on where it stopped. */
  readonly name: string;
  readonly sizeBytes: number;
  /** SHA-256 of everything, 32 bytes. */
  readonly sha256: Uint8Array;
  /** @returns the bytes from `offset` on, at most `length`, at least one */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** Where bulk content goes. */
export interface BulkSink {
  /** Bytes of this very content that are there already: the transfer goes on behind them. */
  readonly offset: number;
  /**
   * Set where the digest is not to be checked: every byte is authenticated by the link, and whoever takes the sender's
   * word, or checks what it has stored anyway, saves a third of the receiver's work. Not with an `offset`.
   */
  readonly unchecked?: true;
  /** Reads back what is there already, for the digest; called only where `offset` is above 0. */
  read?(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** Takes the next bytes; the sender waits while a promise is pending. */
  write(bytes: Uint8Array): void | Promise<void>;
  /** Everything came and the digest is right. */
  done(): void | Promise<void>;
  /** It ended early; what was written may serve a later transfer as its `offset`. */
  broken(error: NetworkError): void;
}

/** What comes in bulk. */
export interface BulkOffer {
  readonly from: PeerId;
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
}

/** How an operation may be cut short. */
export interface Deadline {
  readonly timeoutMs: number;
}

/** Numbers since the start, for metrics; they only grow. */
export interface NetworkCounters {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly requestsSent: number;
  readonly requestsServed: number;
  readonly messagesPublished: number;
  readonly messagesDelivered: number;
  readonly dials: number;
  readonly dialsFailed: number;
  /** By code of the refusal. */
  readonly refusals: Readonly<Record<string, number>>;
}

/** How much a network may talk of its own accord; the power policy says. */
export interface NetworkPace {
  /** Time between two rounds of gossip upkeep. */
  readonly gossipIntervalMs: number;
}

/** What stands at the door: who may come in, and what they may say. Synchronous, never throws. */
export interface NetworkGate {
  /**
   * Asked before a link is kept, and before one is dialled.
   * @param from multiaddress that an inbound link comes from
   */
  admits(peer: PeerId, from?: string): boolean;
  /**
   * Asked for every frame, topic message and bulk offer before it is acted upon.
   * @param what protocol id or topic
   * @returns the code of the refusal, or undefined to let it pass
   */
  allows(peer: PeerId, what: string, bytes: number): string | undefined;
  /** A peer broke the rules: `malformed`, `oversize`, `slow-reader`, `invalid-topic-message`, …. */
  offence(peer: PeerId, kind: string): void;
}

/** Looks records up among all nodes, linked or not: a distributed hash table. */
export interface Directory {
  /** Puts the own signed record where others find it. @throws NetworkError when no node took it */
  publish(record: Uint8Array, deadline: Deadline): Promise<void>;
  /** @returns the newest record of that peer that was found and is valid */
  find(peer: PeerId, deadline: Deadline): Promise<Uint8Array | undefined>;
}

/** What a directory has to know of records. Synchronous; never throws. */
export interface DirectoryRules {
  /** @returns whether the bytes are a record of that peer, signed by it */
  valid(peer: PeerId, record: Uint8Array): boolean;
  /** @returns the place of the newest of several valid records */
  newest(records: readonly Uint8Array[]): number;
}

/**
 * The way to other nodes: links to some, messages and requests to those, topics to all. Every payload comes from
 * an authenticated peer. Nothing here decides whom to stay connected to; that is the mesh's business.
 */
export interface Network {
  readonly self: PeerId;
  /** Absent where it is switched off. */
  readonly directory?: Directory;
  /**
   * Begins to listen, announce and discover.
   * @throws Error in words that name the setting when an address can not be had
   */
  start(listener: (event: NetworkEvent) => void): Promise<void>;
  /** Closes every link. Idempotent. */
  stop(): Promise<void>;
  /** Multiaddresses under which others can dial this node, each ending in `/p2p/<peer id>`. */
  addresses(): readonly string[];
  /** One for each connected peer, the best where there are several. */
  links(): readonly Link[];
  /**
   * Opens a link, or finds the one that is there.
   * @param target a peer with the addresses known, which may be none where a directory knows; or addresses alone
   * @throws NetworkError
   */
  connect(
    target: { readonly peer?: PeerId; readonly addresses: readonly string[] },
    deadline: Deadline,
  ): Promise<PeerId>;
  /** Closes every link to the peer. */
  disconnect(peer: PeerId): Promise<void>;
  /** Answers to a protocol. @throws Error when it is served already */
  serve(protocol: Protocol, service: Service): void;
  /**
   * Sends a message to a connected peer, in order with all others of the protocol.
   * Resolves when the transport has taken it, which is no receipt. @throws NetworkError
   */
  send(peer: PeerId, protocol: Protocol, payload: Uint8Array): Promise<void>;
  /** Asks a connected peer. @returns its answer @throws NetworkError */
  request(
    peer: PeerId,
    protocol: Protocol,
    payload: Uint8Array,
    deadline: Deadline,
  ): Promise<Uint8Array>;
  /**
   * Listens to a topic. A node's own messages do not come back.
   * @returns what ends it @throws Error when the topic has a listener
   */
  subscribe(topic: string, receive: (message: TopicMessage) => TopicVerdict): () => void;
  /** @returns to how many neighbours it went; the rest is theirs to pass on @throws NetworkError */
  publish(topic: string, payload: Uint8Array): Promise<number>;
  /** Takes content in bulk. @param accept throws Refused to say no */
  serveBulk(protocolId: string, accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>): void;
  /**
   * Sends content of any size to a connected peer, no faster than it takes it.
   * @param onProgress hears how many bytes are there
   * @throws NetworkError; a later call with the same source goes on where this one stopped
   */
  sendBulk(
    peer: PeerId,
    protocolId: string,
    source: BulkSource,
    onProgress?: (bytes: number) => void,
  ): Promise<void>;
  setPace(pace: NetworkPace): void;
  counters(): NetworkCounters;
}
