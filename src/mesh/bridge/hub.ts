import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeBackend,
  type BridgeContent,
  BridgeError,
  type BridgeHandler,
  type BridgeLinkChannel,
  type BridgeMessage,
  type BridgePrincipal,
  type BridgeRequest,
} from "../../platform/bridge.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { BulkSink, BulkSource } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { type FleetSource, FleetTable, sameBytes } from "./fleet-table.ts";
import { agentIdIn } from "./frames.ts";
import { Link, type LinkOwner } from "./link.ts";
import type { LinkEffect, LinkLimits, LinkPeer } from "./link-session.ts";
import { LoopGuard } from "./loop-guard.ts";
import { TopicFilters, type TopicRule, TopicRules } from "./topic-rules.ts";

/** Bounds of a bridge. */
export interface HubLimits extends LinkLimits {
  readonly linksMax: number;
  readonly subscribersMax: number;
  readonly agentsMax: number;
  /** Most bridges that anything may come over. */
  readonly hopsMax: number;
  /** Ids of messages that are remembered. */
  readonly seenMax: number;
  /** Most that waits for one link. */
  readonly queueBytesMax: number;
  /** Messages at once on their way into the mesh. */
  readonly publishesMax: number;
  readonly handshakeMs: number;
}

/** What a bridge is made of. */
export interface HubParts {
  /** Names the bridge in the ways of messages; at most 64 characters, unlike any other. */
  readonly bridgeId: string;
  readonly backend: BridgeBackend;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What leaves the mesh. */
  readonly topicsUp: readonly TopicRule[];
  /** What comes into the mesh. */
  readonly topicsDown: readonly TopicRule[];
  readonly limits: HubLimits;
}

/** Numbers since the start; they only grow, but for `linksNow`, `subscribersNow` and `agentsNow`. */
export interface HubCounters {
  readonly linksNow: number;
  readonly subscribersNow: number;
  readonly agentsNow: number;
  readonly messagesUp: number;
  readonly messagesDown: number;
  readonly messagesLinked: number;
  readonly requestsServed: number;
  /** Messages that were not passed on since they were here before, by verdict: `seen`, `loop`, `too-far`. */
  readonly repeats: Readonly<Record<string, number>>;
  /** By code. */
  readonly refusals: Readonly<Record<string, number>>;
}

interface Subscriber {
  readonly filters: TopicFilters;
  readonly receive: (message: BridgeMessage) => void;
}

const NONCE_BYTES = 32;

/**
 * Where the sides of a bridge meet: the mesh that this agent is part of, devices and gateways attached by links, and
 * clients of the cluster. Each message goes to every side but the one it came from, once; each request to the side
 * that has its target. A device's bridge and a gateway's are the same.
 */
export class BridgeHub implements BridgeHandler, LinkOwner {
  readonly #parts: HubParts;
  readonly #guard: LoopGuard;
  readonly #fleet: FleetTable;
  readonly #up: TopicRules;
  readonly #down: TopicRules;
  /** Stands for the own mesh as a side of the bridge. */
  readonly #mesh: FleetSource = {};
  readonly #links = new Set<Link>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #watchers = new Set<(change: BridgeAgentChange) => void>();
  readonly #repeats = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  readonly #counts = { messagesUp: 0, messagesDown: 0, messagesLinked: 0, requestsServed: 0 };
  readonly #ends = new Map<Link, (error: BridgeError | undefined) => void>();
  #stops: (() => void)[] = [];
  #publishing = 0;

  constructor(parts: HubParts) {
    this.#parts = parts;
    this.#guard = new LoopGuard(parts.bridgeId, parts.limits);
    this.#fleet = new FleetTable(parts.limits.agentsMax);
    this.#up = new TopicRules(parts.topicsUp);
    this.#down = new TopicRules(parts.topicsDown);
  }

  /** Begins to listen to the mesh. */
  start(): void {
    const { backend } = this.#parts;
    this.#stops = [backend.onAgents((change) => this.#meshChange(change))];
    for (const agent of backend.agents()) this.#meshChange({ kind: "upserted", agent });
    const filters = this.#up.meshFilters;
    if (filters.length > 0)
      this.#stops.push(backend.subscribe(filters, (message) => this.#fromMesh(message)));
  }

  /** Ends every link. */
  stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    for (const link of this.#links) link.close(new BridgeError("bridge.closed", "shutting down"));
  }

  /** Asks an agent on any side; for this agent's own use. @throws BridgeError */
  request(request: BridgeRequest): Promise<Uint8Array> {
    return this.#route(request, { name: "self", allows: () => true }, undefined);
  }

  exchange(request: BridgeRequest, from: BridgePrincipal): Promise<Uint8Array> {
    return this.#route(request, from, undefined);
  }

  publish(message: BridgeMessage, _from: BridgePrincipal): Promise<number> {
    return this.#distribute(message, undefined);
  }

  subscribe(
    filters: readonly string[],
    _from: BridgePrincipal,
    receive: (message: BridgeMessage) => void,
  ): () => void {
    this.#bounded(this.#subscribers.size, this.#parts.limits.subscribersMax, "subscribers");
    const subscriber = { filters: new TopicFilters(filters), receive };
    this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  agents(): readonly BridgeAgent[] {
    return this.#fleet.allFor(undefined);
  }

  watchAgents(_from: BridgePrincipal, listener: (change: BridgeAgentChange) => void): () => void {
    this.#bounded(this.#watchers.size, this.#parts.limits.subscribersMax, "watchers");
    const own = (change: BridgeAgentChange): void => listener(change);
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  async uploadOffset(
    target: string,
    content: BridgeContent,
    from: BridgePrincipal,
  ): Promise<number> {
    return this.#parts.backend.uploadOffset(this.#inMesh(target), content, from);
  }

  async upload(target: string, content: BridgeContent, from: BridgePrincipal): Promise<BulkSink> {
    return this.#parts.backend.upload(this.#inMesh(target), content, from);
  }

  async download(target: string, name: string, from: BridgePrincipal): Promise<BulkSource> {
    return this.#parts.backend.download(this.#inMesh(target), name, from);
  }

  /** A device attaches here. */
  link(channel: BridgeLinkChannel, from: BridgePrincipal): Link {
    return this.#open("gateway", channel, from);
  }

  /**
   * Attaches this device to a gateway.
   * @param principal what the gateway may do here
   * @param ended comes once
   */
  attach(
    channel: BridgeLinkChannel,
    principal: BridgePrincipal,
    ended: (error: BridgeError | undefined) => void,
  ): Link {
    const link = this.#open("device", channel, principal);
    this.#ends.set(link, ended);
    return link;
  }

  counters(): HubCounters {
    return {
      linksNow: this.#links.size,
      subscribersNow: this.#subscribers.size,
      agentsNow: this.#fleet.size,
      ...this.#counts,
      repeats: Object.fromEntries(this.#repeats),
      refusals: Object.fromEntries(this.#refusals),
    };
  }

  linkReady(link: Link, { peerId, bridgeId }: LinkPeer): void {
    // A device that comes anew before its old connection was found dead.
    for (const other of this.#links)
      if (other !== link && peerId !== undefined && other.peer?.peerId === peerId)
        other.close(new BridgeError("bridge.closed", "the device has attached anew"));
    this.#parts.logger.info("a bridge link stands", { bridgeId, peerId });
    link.fleet(this.#fleet.allFor(link));
  }

  linkMessage(link: Link, message: BridgeMessage): void {
    if (!link.principal.allows("publish", message.topic)) {
      this.refused("bridge.denied");
      return;
    }
    this.#counts.messagesLinked++;
    // Who sent it learns nothing of where it went; what did not go anywhere is counted.
    this.#distribute(message, link).catch((error: unknown) => this.#count(error));
  }

  linkRequest(link: Link, request: BridgeRequest): Promise<Uint8Array> {
    if (!link.principal.allows("exchange", request.task))
      return Promise.reject(new BridgeError("bridge.denied", `may not ask for ${request.task}`));
    return this.#route(request, link.principal, link);
  }

  linkFleet(link: Link, told: Extract<LinkEffect, { kind: "fleet" }>): void {
    const gone = new Set(told.complete ? this.#fleet.knownBy(link) : told.removed);
    for (const { agent, agentId } of told.upserted) {
      gone.delete(agent.peerId);
      const { bridgeId } = link.peer ?? { bridgeId: "" };
      const via = [bridgeId, ...agent.via];
      // Split horizon keeps two bridges from telling each other the same; this keeps more from doing so.
      const isOwn = link.peer?.peerId === agent.peerId;
      if (this.#guard.way(via) === "new") this.#upsert(link, { ...agent, via }, agentId, isOwn);
      else gone.add(agent.peerId);
    }
    for (const peerId of gone) this.#remove(link, peerId);
  }

  linkClosed(link: Link, error: BridgeError | undefined): void {
    this.#links.delete(link);
    for (const peerId of this.#fleet.knownBy(link)) this.#remove(link, peerId);
    const ended = this.#ends.get(link);
    this.#ends.delete(link);
    ended?.(error);
  }

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  #open(role: "gateway" | "device", channel: BridgeLinkChannel, principal: BridgePrincipal): Link {
    const { bridgeId, signer, clock, random, limits } = this.#parts;
    this.#bounded(this.#links.size, limits.linksMax, "links");
    const link: Link = new Link({
      channel,
      principal,
      clock,
      owner: this,
      queueBytesMax: limits.queueBytesMax,
      handshakeMs: limits.handshakeMs,
      session: {
        role,
        bridgeId,
        signer,
        // A gateway takes everything: its clients may subscribe to anything.
        filters: role === "gateway" ? ["#"] : this.#down.clusterFilters,
        nonce: random.bytes(NONCE_BYTES),
        admits: (peerId) =>
          (principal.peerId ?? peerId) === peerId && principal.allows("link", peerId),
        limits,
        isKnown: (peerId, record) => this.#isKnown(link, peerId, record),
      },
    });
    this.#links.add(link);
    return link;
  }

  #isKnown(link: Link, peerId: PeerId, record: Uint8Array): boolean {
    const before = this.#fleet.recordOf(link, peerId);
    return before !== undefined && sameBytes(before, record);
  }

  async #route(
    request: BridgeRequest,
    from: BridgePrincipal,
    source: Link | undefined,
  ): Promise<Uint8Array> {
    const { backend } = this.#parts;
    if (this.#guard.way(request.via) !== "new")
      throw this.#refusal("bridge.loop", "the request has been here, or comes from too far");
    const onward = { ...request, via: this.#guard.passed(request.via) };
    this.#counts.requestsServed++;
    if (request.target === backend.self) return backend.request(onward, from);
    const found = this.#fleet.find(request.target, source);
    if (found.kind === "ambiguous")
      throw this.#refusal("bridge.ambiguous", `several agents are called ${request.target}`);
    if (found.kind === "unknown")
      throw this.#refusal("bridge.not-found", `no agent ${request.target}`);
    const target = found.peerId;
    if (found.source === this.#mesh) return backend.request({ ...onward, target }, from);
    return (found.source as Link).request({ ...onward, target });
  }

  #fromMesh(message: BridgeMessage): void {
    const topic = this.#up.toCluster(message.topic);
    if (topic === undefined) return;
    this.#counts.messagesUp++;
    this.#distribute({ ...message, topic }, this.#mesh).catch((error: unknown) =>
      this.#count(error),
    );
  }

  /** @throws BridgeError when it could be handed to nobody who wanted it */
  async #distribute(message: BridgeMessage, source: FleetSource | undefined): Promise<number> {
    const verdict = this.#guard.message(message.from ?? "", message.id, message.via);
    if (verdict !== "new") {
      this.#repeats.set(verdict, (this.#repeats.get(verdict) ?? 0) + 1);
      return 0;
    }
    const onward = { ...message, via: this.#guard.passed(message.via) };
    let receivers = 0;
    let failure: unknown;
    for (const { filters, receive } of this.#subscribers)
      if (filters.match(onward.topic)) {
        receive(onward);
        receivers++;
      }
    for (const link of this.#links)
      if (link !== source && link.wants(onward.topic))
        try {
          link.message(onward);
          receivers++;
        } catch (error) {
          failure = error;
          this.#count(error);
        }
    if (source !== this.#mesh)
      try {
        receivers += await this.#intoMesh(onward);
      } catch (error) {
        failure = error;
        this.#count(error);
      }
    if (receivers === 0 && failure !== undefined) throw failure;
    return receivers;
  }

  async #intoMesh(message: BridgeMessage): Promise<number> {
    const topic = this.#down.toMesh(message.topic);
    if (topic === undefined) return 0;
    if (this.#publishing >= this.#parts.limits.publishesMax)
      throw new BridgeError("bridge.busy", "too many messages on their way into the mesh");
    this.#publishing++;
    try {
      const neighbours = await this.#parts.backend.publish({ ...message, topic });
      this.#counts.messagesDown++;
      return neighbours;
    } finally {
      this.#publishing--;
    }
  }

  #meshChange(change: BridgeAgentChange): void {
    if (change.kind === "removed") this.#remove(this.#mesh, change.peerId);
    else
      try {
        const { agent } = change;
        this.#upsert(this.#mesh, { ...agent, via: [] }, agentIdIn(agent.record));
      } catch (error) {
        this.#count(error);
      }
  }

  #upsert(source: FleetSource, agent: BridgeAgent, agentId: string, isOwn = false): void {
    const outcome = this.#fleet.upsert(source, agent, agentId, isOwn);
    if (outcome === "full") this.refused("bridge.busy");
    if (outcome === "changed") this.#tell(source, agent.peerId);
  }

  #remove(source: FleetSource, peerId: PeerId): void {
    if (this.#fleet.remove(source, peerId)) this.#tell(source, peerId);
  }

  #tell(source: FleetSource, peerId: PeerId): void {
    for (const watcher of this.#watchers) watcher(this.#fleet.changeFor(undefined, peerId));
    for (const link of this.#links)
      if (link !== source) link.fleetChange(this.#fleet.changeFor(link, peerId));
  }

  #inMesh(target: string): string {
    if (target === this.#parts.backend.self) return target;
    const found = this.#fleet.find(target, undefined);
    if (found.kind === "ambiguous")
      throw this.#refusal("bridge.ambiguous", `several agents are called ${target}`);
    if (found.kind === "unknown") throw this.#refusal("bridge.not-found", `no agent ${target}`);
    if (found.source !== this.#mesh)
      throw this.#refusal("bridge.unsupported", "bulk content does not go over a link");
    return found.peerId;
  }

  #bounded(now: number, most: number, what: string): void {
    if (now >= most) throw this.#refusal("bridge.busy", `no more than ${most} ${what}`);
  }

  #refusal(code: BridgeError["code"], message: string): BridgeError {
    this.refused(code);
    return new BridgeError(code, message);
  }

  #count(error: unknown): void {
    const code = error instanceof BridgeError ? error.code : "bridge.failed";
    this.refused(code);
    if (code === "bridge.failed")
      this.#parts.logger.error("the bridge failed", { reason: String(error) });
  }
}
