import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  type Deadline,
  type Link,
  type Network,
  type NetworkCounters,
  NetworkError,
  type NetworkEvent,
  type Protocol,
  type Service,
} from "../platform/network.ts";
import { Tally } from "../platform/network-tally.ts";
import type { PeerId } from "../platform/signer.ts";
import { sendBulk, VirtualBulk } from "./virtual-bulk.ts";
import { dial } from "./virtual-dial.ts";
import type { VirtualEther } from "./virtual-ether.ts";
import type { LinkEnd } from "./virtual-link.ts";
import type { VirtualNode, VirtualNodeSettings } from "./virtual-node.ts";
import { VirtualService } from "./virtual-service.ts";
import { type TopicReceiver, VirtualTopics } from "./virtual-topics.ts";

/** While no more than this is on the way the transport has taken a message at once; else when it arrives. */
const AT_ONCE_BYTES_MAX = 262_144;
const DONE = Promise.resolve();

/** The network seam between nodes of one process, in virtual time. */
export class VirtualNetwork implements Network, VirtualNode {
  readonly self: PeerId;
  readonly settings: VirtualNodeSettings;
  readonly tally = new Tally();
  readonly topics: VirtualTopics = new VirtualTopics(this);
  readonly #ether: VirtualEther;
  readonly #links = new Map<PeerId, LinkEnd[]>();
  readonly #services = new Map<string, VirtualService | VirtualBulk>();
  #state: "new" | "running" | "stopped" | "dead" = "new";
  #listener: ((event: NetworkEvent) => void) | undefined;

  constructor(ether: VirtualEther, settings: VirtualNodeSettings) {
    this.#ether = ether;
    this.settings = settings;
    this.self = settings.self;
  }

  get dead(): boolean {
    return this.#state === "dead";
  }

  get running(): boolean {
    return this.#state === "running";
  }

  start(listener: (event: NetworkEvent) => void): Promise<void> {
    this.#listener = listener;
    this.#state = "running";
    this.#ether.join(this);
    listener({ kind: "addresses", addresses: this.addresses() });
    const { segment } = this.settings;
    if (segment === undefined) return DONE;
    for (const other of this.#ether.segment(segment)) {
      const cut =
        this.#ether.apart(this.self, other.self) || this.#ether.apart(other.self, this.self);
      if (other === this || cut) continue;
      other.discovered(this);
      this.discovered(other);
    }
    return DONE;
  }

  stop(): Promise<void> {
    if (this.#state !== "running") return DONE;
    this.#state = "stopped";
    this.#ether.leave(this);
    for (const end of this.all()) end.close();
    return DONE;
  }

  die(): LinkEnd[] {
    this.#state = "dead";
    this.#listener = undefined;
    const ends = this.all();
    this.#links.clear();
    for (const end of ends) end.abandon();
    return ends;
  }

  addresses(): readonly string[] {
    return [`/memory/${this.self}/p2p/${this.self}`];
  }

  links(): readonly Link[] {
    return this.best().map(({ link }) => link);
  }

  best(): LinkEnd[] {
    return [...this.#links.values()].flatMap(([first]) => (first === undefined ? [] : [first]));
  }

  all(): LinkEnd[] {
    return [...this.#links.values()].flat();
  }

  end(peer: PeerId): LinkEnd | undefined {
    return this.#links.get(peer)?.[0];
  }

  connect(
    target: { readonly peer?: PeerId; readonly addresses: readonly string[] },
    { timeoutMs }: Deadline,
  ): Promise<PeerId> {
    return dial(this.#ether, this, target, timeoutMs);
  }

  disconnect(peer: PeerId): Promise<void> {
    for (const end of this.all()) if (end.link.peer === peer) end.close();
    return DONE;
  }

  serve(protocol: Protocol, service: Service): void {
    this.#register(protocol.id, new VirtualService(this, protocol, service));
  }

  send(peer: PeerId, protocol: Protocol, payload: Uint8Array): Promise<void> {
    try {
      const end = this.#way(peer, protocol.id);
      const copies = this.#ether.datagram(protocol.id);
      if (copies !== undefined) {
        for (const delayMs of copies) this.#scatter(end, delayMs, protocol, payload);
        return DONE;
      }
      if (end.queuedBytes(protocol.id) <= AT_ONCE_BYTES_MAX) {
        this.#transmit(end, protocol, payload, (service, at) => service.take(at, payload));
        return DONE;
      }
      return new Promise((resolve, reject) => {
        const id = end.hold({ resolve: () => resolve(), reject });
        this.#transmit(end, protocol, payload, (service, at) => {
          end.settle(id)?.resolve(payload);
          service.take(at, payload);
        });
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  request(
    peer: PeerId,
    protocol: Protocol,
    payload: Uint8Array,
    { timeoutMs }: Deadline,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const end = this.#way(peer, protocol.id);
      const id = end.expect(timeoutMs, {
        resolve: (answer) => {
          this.tally.receivedBytes += answer.length;
          resolve(answer);
        },
        reject,
      });
      this.tally.requestsSent++;
      try {
        this.#transmit(end, protocol, payload, (service, at) => service.take(at, payload, id));
      } catch (error) {
        end.settle(id);
        throw error;
      }
    });
  }

  subscribe(topic: string, receive: TopicReceiver): () => void {
    return this.topics.subscribe(topic, receive);
  }

  publish(topic: string, payload: Uint8Array): Promise<number> {
    const { messageBytesMax } = this.settings;
    if (payload.length > messageBytesMax) {
      const message = `a message of ${payload.length} bytes is past the ${messageBytesMax} allowed`;
      return Promise.reject(new NetworkError("network.too-large", message));
    }
    if (!this.running) return Promise.reject(notRunning());
    return Promise.resolve(this.topics.publish(topic, payload));
  }

  serveBulk(protocolId: string, accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>): void {
    this.#register(protocolId, new VirtualBulk(this, this.#ether, protocolId, accept));
  }

  async sendBulk(
    peer: PeerId,
    protocolId: string,
    source: BulkSource,
    onProgress: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    const end = this.#way(peer, protocolId);
    const taker = (at: LinkEnd): VirtualBulk | undefined => {
      const service = (at.owner as VirtualNetwork).#services.get(protocolId);
      return service instanceof VirtualBulk ? service : undefined;
    };
    await sendBulk({ ether: this.#ether, node: this, end, protocolId, taker }, source, onProgress);
  }

  setPace(): void {
    // Nothing is done of its own accord here.
  }

  counters(): NetworkCounters {
    return this.tally.snapshot();
  }

  linked(end: LinkEnd): void {
    const ends = this.#links.get(end.link.peer);
    if (ends !== undefined) {
      ends.push(end);
      return;
    }
    this.#links.set(end.link.peer, [end]);
    this.#listener?.({ kind: "link-up", link: end.link });
  }

  ended(end: LinkEnd): void {
    const ends = (this.#links.get(end.link.peer) ?? []).filter((other) => other !== end);
    if (ends.length > 0) {
      this.#links.set(end.link.peer, ends);
      return;
    }
    if (this.#links.delete(end.link.peer))
      this.#listener?.({ kind: "link-down", peer: end.link.peer });
  }

  mustRun(): void {
    if (!this.running) throw notRunning();
  }

  discovered(other: VirtualNode): void {
    const addresses = other.addresses();
    this.#listener?.({ kind: "discovered", peer: other.self, addresses, by: "mdns" });
  }

  #register(protocolId: string, service: VirtualService | VirtualBulk): void {
    if (this.#services.has(protocolId)) throw new Error(`${protocolId} is served already`);
    this.#services.set(protocolId, service);
  }

  /** @throws NetworkError when there is no link, or nobody answers to the protocol at its other end */
  #way(peer: PeerId, protocolId: string): LinkEnd {
    this.mustRun();
    const end = this.end(peer);
    if (end === undefined)
      throw new NetworkError("network.unreachable", `there is no link to ${peer}`);
    if (end.other.owner instanceof VirtualNetwork && !end.other.owner.#services.has(protocolId))
      throw new NetworkError("network.unsupported", `${peer} does not serve ${protocolId}`);
    return end;
  }

  #scatter(end: LinkEnd, delayMs: number, { id }: Protocol, payload: Uint8Array): void {
    this.tally.sentBytes += payload.length;
    end.scatter(delayMs, payload, (at) => {
      const service = (at.owner as VirtualNetwork).#services.get(id);
      if (service instanceof VirtualService) service.take(at, payload);
    });
  }

  #transmit(
    end: LinkEnd,
    { id, messageBytesMax, queueBytesMax }: Protocol,
    payload: Uint8Array,
    take: (service: VirtualService, at: LinkEnd) => void,
  ): void {
    if (payload.length > messageBytesMax)
      throw new NetworkError(
        "network.too-large",
        `${payload.length} bytes are past the ${messageBytesMax} that ${id} allows`,
      );
    if (!end.fits(id, payload.length, queueBytesMax))
      throw new NetworkError("network.queue-full", `too much waits for ${end.link.peer} on ${id}`);
    this.tally.sentBytes += payload.length;
    end.transmit(id, payload, (at) => {
      const service = (at.owner as VirtualNetwork).#services.get(id);
      if (service instanceof VirtualService) take(service, at);
    });
  }
}

function notRunning(): NetworkError {
  return new NetworkError("network.closed", "the network is not running");
}
