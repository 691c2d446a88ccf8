import type { Connection, PeerInfo, Stream } from "@libp2p/interface";
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
  type Service,
  type TopicMessage,
  type TopicVerdict,
} from "../network.ts";
import { Tally } from "../network-tally.ts";
import type { PeerId } from "../signer.ts";
import { answerStream } from "./answering-stream.ts";
import { BulkService } from "./bulk-service.ts";
import { createNode, type Node } from "./create-node.ts";
import { DhtDirectory } from "./dht-directory.ts";
import { dialError, dialTarget, parsedPeer, reason } from "./dial.ts";
import { Gossip } from "./gossip.ts";
import { HandshakeWatch } from "./handshake-watch.ts";
import { KeptStreams, openedWithin } from "./kept-streams.ts";
import { bestLink, linkOf } from "./links.ts";
import { listenError } from "./listen-error.ts";
import type { Libp2pSettings } from "./settings.ts";

/** Streams of one protocol that a peer may have open; one is enough for an agent. */
const STREAMS_PER_PEER_MAX = 4;
const BULK_STREAMS_PER_PEER_MAX = 4;
const OPEN_TIMEOUT_MS = 10_000;
const BULK_NAME_BYTES_MAX = 256;
/** How long the last words of a network that stops may take to arrive. */
const LAST_WORDS_MS = 1_000;

/** The network seam on libp2p. */
export class Libp2pNetwork implements Network {
  readonly self: PeerId;
  readonly directory?: Directory;
  readonly #settings: Libp2pSettings;
  readonly #node: Node;
  readonly #tally: Tally;
  readonly #streams: KeptStreams;
  readonly #gossip: Gossip;
  readonly #bulk: BulkService;
  readonly #served = new Set<string>();
  /** Peers whose link was told. */
  readonly #told = new Set<PeerId>();
  /** Links that are being closed. */
  readonly #closing = new Set<Promise<void>>();
  #listener: ((event: NetworkEvent) => void) | undefined;
  #state: "new" | "running" | "stopped" = "new";

  private constructor(settings: Libp2pSettings, node: Node, tally: Tally) {
    const { gate } = settings;
    this.#settings = settings;
    this.#node = node;
    this.self = node.peerId.toString();
    this.#tally = tally;
    this.#streams = new KeptStreams(
      (peer, protocolId) => this.#openStream(peer, protocolId),
      this.#tally,
      (peer, kind) => gate.offence(peer, kind),
    );
    this.#gossip = new Gossip(node.services.pubsub, this.self, settings, this.#tally);
    this.#bulk = new BulkService(settings, this.#tally);
    if (node.services.dht !== undefined)
      this.directory = new DhtDirectory(node.services.dht, this.self);
  }

  /** @returns a network that listens once it is started @throws Error when a native library is missing */
  static async create(settings: Libp2pSettings): Promise<Libp2pNetwork> {
    let network: Libp2pNetwork | undefined;
    const tally = new Tally();
    const handshakes = new HandshakeWatch(settings, tally);
    const node = await createNode(settings, handshakes, (found, by) => {
      if (network !== undefined) network.#discovered(found, by);
    });
    network = new Libp2pNetwork(settings, node, tally);
    return network;
  }

  async start(listener: (event: NetworkEvent) => void): Promise<void> {
    this.#listener = listener;
    const node = this.#node;
    node.addEventListener("peer:connect", ({ detail }) => this.#linked(detail.toString()));
    node.addEventListener("peer:disconnect", ({ detail }) => this.#unlinked(detail.toString()));
    let told = "";
    node.addEventListener("self:peer:update", () => {
      const addresses = this.addresses();
      // It comes for protocols too.
      if (this.#state === "stopped" || told === (told = addresses.join())) return;
      listener({ kind: "addresses", addresses });
    });
    try {
      await node.start();
    } catch (error) {
      await node.stop();
      throw listenError(error, this.#settings.listen);
    }
    this.#state = "running";
    this.#gossip.started();
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    await this.#streams.finishAll(LAST_WORDS_MS);
    this.#gossip.stopped();
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
    this.#mustRun();
    const target = dialTarget(peer, addresses);
    // libp2p takes a connection for open until it is closed wholly, though no stream can be opened any more.
    await Promise.all(this.#closing);
    const signal = AbortSignal.timeout(timeoutMs);
    this.#tally.dials++;
    try {
      const connection = await this.#node.dial(target, { signal });
      return connection.remotePeer.toString();
    } catch (error) {
      this.#tally.dialsFailed++;
      throw dialError(peer ?? addresses[0] ?? "nobody", error, signal.aborted);
    }
  }

  async disconnect(peer: PeerId): Promise<void> {
    if (this.#state !== "running") return;
    const hungUp = this.#node.hangUp(parsedPeer(peer));
    const closed = hungUp.catch(() => undefined);
    this.#closing.add(closed);
    void closed.then(() => this.#closing.delete(closed));
    await hungUp;
  }

  serve(protocol: Protocol, service: Service): void {
    const { gate, logger } = this.#settings;
    const inFlight = new Map<PeerId, number>();
    const answer = (stream: Stream, connection: Connection): void => {
      const peer = connection.remotePeer.toString();
      answerStream(stream, {
        peer,
        protocol,
        service,
        gate,
        tally: this.#tally,
        inFlight,
        onFault: (error) =>
          logger.error("a service of the mesh failed", { protocol: protocol.id, error }),
      });
    };
    this.#register(protocol.id, answer, STREAMS_PER_PEER_MAX);
  }

  async send(peer: PeerId, protocol: Protocol, payload: Uint8Array): Promise<void> {
    checkSize(payload, protocol);
    const kept = this.#streams.get(peer, protocol, payload.length);
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
    const kept = this.#streams.get(peer, protocol, payload.length);
    if (!(kept instanceof Promise)) return kept.request(payload, timeoutMs);
    const { clock } = this.#settings;
    const fromMs = clock.monotonicMs();
    const stream = await openedWithin(kept, protocol.id, timeoutMs);
    const tookMs = clock.monotonicMs() - fromMs;
    return stream.request(payload, Math.max(0, timeoutMs - tookMs));
  }

  subscribe(topic: string, receive: (message: TopicMessage) => TopicVerdict): () => void {
    return this.#gossip.subscribe(topic, receive);
  }

  publish(topic: string, payload: Uint8Array): Promise<number> {
    return this.#gossip.publish(topic, payload);
  }

  serveBulk(protocolId: string, accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>): void {
    const take = (stream: Stream, connection: Connection): void =>
      this.#bulk.take(stream, connection.remotePeer.toString(), protocolId, accept);
    this.#register(protocolId, take, BULK_STREAMS_PER_PEER_MAX);
  }

  async sendBulk(
    peer: PeerId,
    protocolId: string,
    source: BulkSource,
    onProgress: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    checkBulkSource(source);
    const stream = await this.#openStream(peer, protocolId);
    await this.#bulk.send(stream, peer, source, onProgress);
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
    if (this.#served.has(protocolId)) throw new Error(`${protocolId} is served already`);
    this.#served.add(protocolId);
    const registered = this.#node.handle(protocolId, handler, {
      maxInboundStreams: streamsMax,
      runOnLimitedConnection: true,
    });
    // The name is in the registrar at once; what comes later is telling the neighbours, who can do without.
    registered.catch((error: unknown) =>
      this.#settings.logger.error("a protocol could not be served", { protocolId, error }),
    );
  }

  async #openStream(peer: PeerId, protocolId: string): Promise<Stream> {
    this.#mustRun();
    const connections = this.#node
      .getConnections(parsedPeer(peer))
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
    if (link === undefined || this.#told.has(peer)) return;
    this.#told.add(peer);
    this.#listener?.({ kind: "link-up", link });
  }

  #unlinked(peer: PeerId): void {
    this.#streams.drop(peer);
    if (this.#told.delete(peer)) this.#listener?.({ kind: "link-down", peer });
  }

  #mustRun(): void {
    if (this.#state !== "running")
      throw new NetworkError("network.closed", "the network is not running");
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

function checkBulkSource({ name, sizeBytes, sha256 }: BulkSource): void {
  if (
    Buffer.byteLength(name) > BULK_NAME_BYTES_MAX ||
    sha256.length !== 32 ||
    !Number.isSafeInteger(sizeBytes) ||
    sizeBytes < 0
  )
    throw new NetworkError(
      "network.too-large",
      `the name of bulk content has ${BULK_NAME_BYTES_MAX} bytes at most, its digest 32`,
    );
}
