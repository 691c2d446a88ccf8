import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeBackend,
  type BridgeCode,
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
import type { Signer } from "../../platform/signer.ts";
import { FleetSharing } from "./fleet-sharing.ts";
import { Link, type LinkOwner } from "./link.ts";
import type { LinkEffect, LinkLimits, LinkPeer } from "./link-session.ts";
import { LoopGuard } from "./loop-guard.ts";
import { Refusals } from "./refusals.ts";
import { TopicRouter } from "./topic-router.ts";
import { type TopicRule, TopicRules } from "./topic-rules.ts";

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

/** A link stands, or no longer does. */
export interface LinkChange {
  readonly kind: "up" | "down";
  /** What this end is on the link. */
  readonly role: "gateway" | "device";
  /** Name of whom the link is with. */
  readonly principal: string;
  readonly peer: LinkPeer;
  /** Why it ended. */
  readonly reason?: string;
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
  /** Hears of links that come to stand, and of their end. */
  readonly onLink?: (change: LinkChange) => void;
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

const NONCE_BYTES = 32;

/**
 * Where the sides of a bridge meet: the mesh that this agent is part of, devices and gateways attached by links, and
 * clients of the cluster. Each message goes to every side but the one it came from, once; each request to the side
 * that has its target. A device's bridge and a gateway's are the same.
 */
export class BridgeHub implements BridgeHandler, LinkOwner {
  readonly #parts: HubParts;
  readonly #guard: LoopGuard;
  readonly #down: TopicRules;
  readonly #refusals: Refusals;
  readonly #topics: TopicRouter;
  readonly #fleet: FleetSharing;
  readonly #links = new Set<Link>();
  readonly #ends = new Map<Link, (error: BridgeError | undefined) => void>();
  #stops: (() => void)[] = [];
  #requestsServed = 0;

  constructor(parts: HubParts) {
    const { backend, limits } = parts;
    this.#parts = parts;
    this.#guard = new LoopGuard(parts.bridgeId, limits);
    this.#down = new TopicRules(parts.topicsDown);
    this.#refusals = new Refusals(parts.logger);
    const shared = { backend, guard: this.#guard, links: this.#links, refusals: this.#refusals };
    const { publishesMax, subscribersMax, agentsMax } = limits;
    const rules = { up: new TopicRules(parts.topicsUp), down: this.#down };
    this.#topics = new TopicRouter({ ...shared, ...rules, publishesMax, subscribersMax });
    this.#fleet = new FleetSharing({ ...shared, agentsMax, watchersMax: subscribersMax });
  }

  /** Begins to listen to the mesh. */
  start(): void {
    this.#stops = [this.#fleet.start(), this.#topics.start()];
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
    return this.#topics.publish(message);
  }

  subscribe(
    filters: readonly string[],
    _from: BridgePrincipal,
    receive: (message: BridgeMessage) => void,
  ): () => void {
    return this.#topics.subscribe(filters, receive);
  }

  agents(): readonly BridgeAgent[] {
    return this.#fleet.agentsFor(undefined);
  }

  watchAgents(_from: BridgePrincipal, listener: (change: BridgeAgentChange) => void): () => void {
    return this.#fleet.watch(listener);
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

  /** Links that stand now. */
  links(): readonly Pick<LinkChange, "role" | "peer">[] {
    return [...this.#links].flatMap((link) => {
      const { peer } = link;
      return peer === undefined ? [] : [{ role: this.#roleOf(link), peer }];
    });
  }

  counters(): HubCounters {
    return {
      linksNow: this.#links.size,
      agentsNow: this.#fleet.size,
      requestsServed: this.#requestsServed,
      ...this.#topics.counters,
      refusals: this.#refusals.counts,
    };
  }

  linkReady(link: Link, peer: LinkPeer): void {
    const { peerId, bridgeId } = peer;
    // A device that comes anew before its old connection was found dead.
    for (const other of this.#links)
      if (other !== link && peerId !== undefined && other.peer?.peerId === peerId)
        other.close(new BridgeError("bridge.closed", "the device has attached anew"));
    this.#parts.logger.info("a bridge link stands", { bridgeId, peerId });
    const { principal } = link;
    const role = this.#roleOf(link);
    this.#parts.onLink?.({ kind: "up", role, principal: principal.name, peer });
    link.fleet(this.#fleet.agentsFor(link));
  }

  linkMessage(link: Link, message: BridgeMessage): void {
    this.#topics.fromLink(link, message);
  }

  linkRequest(link: Link, request: BridgeRequest): Promise<Uint8Array> {
    if (!link.principal.allows("exchange", request.task))
      return Promise.reject(new BridgeError("bridge.denied", `may not ask for ${request.task}`));
    return this.#route(request, link.principal, link);
  }

  linkFleet(link: Link, told: Extract<LinkEffect, { kind: "fleet" }>): void {
    this.#fleet.fromLink(link, told);
  }

  linkClosed(link: Link, error: BridgeError | undefined): void {
    this.#links.delete(link);
    this.#fleet.forget(link);
    const { stoodWith: peer, principal } = link;
    if (peer !== undefined)
      this.#parts.onLink?.({
        kind: "down",
        role: this.#roleOf(link),
        principal: principal.name,
        peer,
        reason: error?.message ?? "the other end closed it",
      });
    const ended = this.#ends.get(link);
    this.#ends.delete(link);
    ended?.(error);
  }

  refused(code: BridgeCode): void {
    this.#refusals.add(code);
  }

  #roleOf(link: Link): "gateway" | "device" {
    return this.#ends.has(link) ? "device" : "gateway";
  }

  #open(role: "gateway" | "device", channel: BridgeLinkChannel, principal: BridgePrincipal): Link {
    const { bridgeId, signer, clock, random, limits } = this.#parts;
    this.#refusals.bound(this.#links.size, limits.linksMax, "links");
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
        isKnown: (peerId, record) => this.#fleet.isKnown(link, peerId, record),
      },
    });
    this.#links.add(link);
    return link;
  }

  async #route(
    request: BridgeRequest,
    from: BridgePrincipal,
    source: Link | undefined,
  ): Promise<Uint8Array> {
    const { backend } = this.#parts;
    if (this.#guard.way(request.via) !== "new")
      throw this.#refusals.error("bridge.loop", "it was here before, or comes from too far");
    this.#requestsServed++;
    const place = this.#fleet.find(request.target, source);
    const { peerId: target } = place;
    const onward = { ...request, target, via: this.#guard.passed(request.via) };
    return place.kind === "mesh" ? backend.request(onward, from) : place.link.request(onward);
  }

  #inMesh(target: string): string {
    const place = this.#fleet.find(target, undefined);
    if (place.kind === "link")
      throw this.#refusals.error("bridge.unsupported", "bulk content does not go over a link");
    return place.peerId;
  }
}
