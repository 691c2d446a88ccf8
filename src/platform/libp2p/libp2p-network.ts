import type { Connection, PeerInfo, Stream } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  type Deadline,
  type Directory,
  type DiscoveryMethod,
  type Link,
  type Network,
  type NetworkCounters,
  NetworkError,
  type NetworkEvent,
  type NetworkPace,
  type Protocol,
  Refused,
  type Service,
  type TopicMessage,
  type TopicVerdict,
} from "../network.ts";
import type { PeerId } from "../signer.ts";
import { AnsweringStream } from "./answering-stream.ts";
import { receiveBulk } from "./bulk-receiver.ts";
import { sendBulk } from "./bulk-sender.ts";
import { createNode, type Node } from "./create-node.ts";
import { DhtDirectory } from "./dht-directory.ts";
import { FrameError } from "./frame-codec.ts";
import { Gossip } from "./gossip.ts";
import { KeptStreams } from "./kept-streams.ts";
import { bestLink, linkOf } from "./links.ts";
import type { Libp2pSettings } from "./settings.ts";
import { Tally } from "./tally.ts";

/** Streams of one protocol that a peer may have open; one is enough for an agent. */
const STREAMS_PER_PEER_MAX = 8;
const BULK_STREAMS_PER_PEER_MAX = 4;
const OPEN_TIMEOUT_MS = 10_000;

/** The network seam on libp2p. */
export class Libp2pNetwork implements Network {
  readonly self: PeerId;
  readonly directory?: Directory;
  readonly #settings: Libp2pSettings;
  readonly #node: Node;
  readonly #tally: Tally;
  readonly #streams: KeptStreams;
  readonly #gossip: Gossip;
  /** Services are registered when the node starts and at once from then on. */
  #listener: ((event: NetworkEvent) => void) | undefined;

  private constructor(settings: Libp2pSettings, node: Node) {
    const { gate } = settings;
    this.#settings = settings;
    this.#node = node;
    this.self = node.peerId.toString();
    this.#tally = new Tally();
    this.#streams = new KeptStreams(
      (peer, protocolId) => this.#openStream(peer, protocolId),
      this.#tally,
      (peer, kind) => gate.offence(peer, kind),
    );
    this.#gossip = new Gossip(node.services.pubsub, this.self, settings, this.#tally);
    if (node.services.dht !== undefined)
      this.directory = new DhtDirectory(node.services.dht, this.self);
  }

  /** @returns a network that listens once it is started @throws Error when a native library is missing */
  static async create(settings: Libp2pSettings): Promise<Libp2pNetwork> {
    let network: Libp2pNetwork | undefined;
    const node = await createNode(settings, (found, by) => {
      if (network !== undefined) network.#discovered(found, by);
    });
    network = new Libp2pNetwork(settings, node);
    return network;
  }

  async start(listener: (event: NetworkEvent) => void): Promise<void> {
    this.#listener = listener;
    const node = this.#node;
    node.addEventListener("peer:connect", ({ detail }) => this.#linked(detail.toString()));
    node.addEventListener("peer:disconnect", ({ detail }) => {
      const peer = detail.toString();
      this.#streams.drop(peer);
      listener({ kind: "link-down", peer });
    });
    node.addEventListener("self:peer:update", () =>
      listener({ kind: "addresses", addresses: this.addresses() }),
    );
    await node.start();
  }

  async stop(): Promise<void> {
    await this.#node.stop();
  }

  addresses(): readonly string[] {
    return this.#node.getMultiaddrs().map(String);
  }

  links(): readonly Link[] {
    const best = new Map<PeerId, Connection>();
    for (const connection of this.#node.getConnections()) {
      if (connection.status !== "open") continue;
      const peer = connection.remotePeer.toString();
      const other = best.get(peer);
      best.set(peer, other === undefined ? connection : bestLink(other, connection));
    }
    return [...best.values()].map((connection) => linkOf(connection, this.#settings.clock));
  }

  async connect(
    { peer, addresses }: { readonly peer?: PeerId; readonly addresses: readonly string[] },
    { timeoutMs }: Deadline,
  ): Promise<PeerId> {
    if (peer !== undefined && !this.#settings.gate.admits(peer))
      throw new NetworkError("network.barred", `${peer} is barred`);
    const target = dialTarget(peer, addresses);
    this.#tally.dials++;
    try {
      const connection = await this.#node.dial(target, { signal: AbortSignal.timeout(timeoutMs) });
      return connection.remotePeer.toString();
    } catch (error) {
      this.#tally.dialsFailed++;
      const who = peer ?? addresses[0] ?? "nobody";
      throw new NetworkError(
        "network.unreachable",
        `${who} could not be reached: ${reason(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  async disconnect(peer: PeerId): Promise<void> {
    await this.#node.hangUp(peerIdFromString(peer));
  }

  serve(protocol: Protocol, service: Service): void {
    const { gate, logger } = this.#settings;
    const answer = (stream: Stream, connection: Connection): void => {
      const peer = connection.remotePeer.toString();
      AnsweringStream.attach(stream, {
        peer,
        protocol,
        service,
        gate,
        tally: this.#tally,
        onFault: (error) =>
          logger.error("a service of the mesh failed", { protocol: protocol.id, error }),
      });
    };
    this.#register(protocol.id, answer, STREAMS_PER_PEER_MAX);
  }

  async send(peer: PeerId, protocol: Protocol, payload: Uint8Array): Promise<void> {
    checkSize(payload, protocol);
    const kept = this.#streams.get(peer, protocol);
    const stream = kept instanceof Promise ? await kept : kept;
    await stream.send(payload);
    this.#tally.sentBytes += payload.length;
  }

  async request(
    peer: PeerId,
    protocol: Protocol,
    payload: Uint8Array,
    { timeoutMs }: Deadline,
  ): Promise<Uint8Array> {
    checkSize(payload, protocol);
    const kept = this.#streams.get(peer, protocol);
    const stream = kept instanceof Promise ? await kept : kept;
    this.#tally.sentBytes += payload.length;
    const answer = await stream.request(payload, timeoutMs);
    this.#tally.receivedBytes += answer.length;
    return answer;
  }

  subscribe(topic: string, receive: (message: TopicMessage) => TopicVerdict): () => void {
    return this.#gossip.subscribe(topic, receive);
  }

  publish(topic: string, payload: Uint8Array): Promise<number> {
    return this.#gossip.publish(topic, payload);
  }

  serveBulk(protocolId: string, accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>): void {
    const { gate, bulkIdleTimeoutMs, logger } = this.#settings;
    const take = (stream: Stream, connection: Connection): void => {
      const peer = connection.remotePeer.toString();
      const allowed = (offer: BulkOffer): BulkSink | Promise<BulkSink> => {
        const refusal = gate.allows(peer, protocolId, 0);
        if (refusal === undefined) return accept(offer);
        throw new Refused(refusal, `not allowed on ${protocolId}`);
      };
      receiveBulk(stream, peer, bulkIdleTimeoutMs, allowed).then(
        (bytes) => {
          this.#tally.receivedBytes += bytes;
        },
        (error: unknown) => {
          if (error instanceof Refused) this.#tally.refused(error.code);
          if (error instanceof FrameError) {
            this.#tally.refused(error.offence);
            gate.offence(peer, error.offence);
          }
          logger.debug("a bulk transfer ended early", { peer, protocolId, reason: reason(error) });
        },
      );
    };
    this.#register(protocolId, take, BULK_STREAMS_PER_PEER_MAX);
  }

  async sendBulk(
    peer: PeerId,
    protocolId: string,
    source: BulkSource,
    onProgress: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    const stream = await this.#openStream(peer, protocolId);
    let from: number | undefined;
    let sent = 0;
    try {
      await sendBulk(stream, source, this.#settings.bulkIdleTimeoutMs, (bytes) => {
        from ??= bytes;
        sent = bytes;
        onProgress(bytes);
      });
    } finally {
      this.#tally.sentBytes += sent - (from ?? 0);
    }
  }

  setPace(pace: NetworkPace): void {
    this.#gossip.setPace(pace);
  }

  counters(): NetworkCounters {
    return this.#tally.snapshot();
  }

  #register(
    protocolId: string,
    handler: (stream: Stream, connection: Connection) => void,
    streamsMax: number,
  ): void {
    const registered = this.#node.handle(protocolId, handler, {
      maxInboundStreams: streamsMax,
      runOnLimitedConnection: true,
    });
    // It rejects only for a name that is taken, which the registrar tells in the same turn.
    registered.catch((error: unknown) =>
      this.#settings.logger.error("a protocol could not be served", { protocolId, error }),
    );
  }

  async #openStream(peer: PeerId, protocolId: string): Promise<Stream> {
    const connections = this.#node
      .getConnections(peerIdFromString(peer))
      .filter(({ status }) => status === "open");
    if (connections.length === 0)
      throw new NetworkError("network.unreachable", `there is no link to ${peer}`);
    const connection = connections.reduce(bestLink);
    // A connection that closes meanwhile leaves whoever negotiates waiting.
    const abort = new AbortController();
    const giveUp = (): void => abort.abort(new Error("the link closed, or took too long"));
    const timer = setTimeout(giveUp, OPEN_TIMEOUT_MS);
    connection.addEventListener("close", giveUp);
    try {
      return await connection.newStream(protocolId, {
        signal: abort.signal,
        runOnLimitedConnection: true,
      });
    } catch (error) {
      const code =
        (error as Error).name === "UnsupportedProtocolError"
          ? "network.unsupported"
          : "network.closed";
      throw new NetworkError(
        code,
        `${protocolId} could not be opened to ${peer}: ${reason(error)}`,
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
      connection.removeEventListener("close", giveUp);
    }
  }

  #linked(peer: PeerId): void {
    const link = this.links().find((link) => link.peer === peer);
    if (link !== undefined) this.#listener?.({ kind: "link-up", link });
  }

  #discovered({ id, multiaddrs }: PeerInfo, by: DiscoveryMethod): void {
    const peer = id.toString();
    if (peer === this.self) return;
    this.#listener?.({ kind: "discovered", peer, addresses: multiaddrs.map(String), by });
  }
}

function checkSize(payload: Uint8Array, { id, messageBytesMax }: Protocol): void {
  if (payload.length > messageBytesMax)
    throw new NetworkError(
      "network.too-large",
      `${payload.length} bytes are past the ${messageBytesMax} that ${id} allows`,
    );
}

/** @throws NetworkError when an address is none */
function dialTarget(peer: PeerId | undefined, addresses: readonly string[]) {
  try {
    if (addresses.length === 0 && peer !== undefined) return peerIdFromString(peer);
    return addresses.map((address): Multiaddr => {
      const parsed = multiaddr(address);
      const names = parsed.getComponents().findLast(({ name }) => name === "p2p");
      // Who answers has to be who was meant.
      return peer === undefined || names !== undefined
        ? parsed
        : parsed.encapsulate(`/p2p/${peer}`);
    });
  } catch (error) {
    throw new NetworkError("network.unreachable", `not an address: ${reason(error)}`);
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError)
    return [...new Set(error.errors.map((inner) => reason(inner)))].join("; ").slice(0, 300);
  return error instanceof Error ? error.message : String(error);
}
