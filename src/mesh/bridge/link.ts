import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeCode,
  BridgeError,
  type BridgeLinkChannel,
  type BridgeLinkReceiver,
  type BridgeMessage,
  type BridgePrincipal,
  type BridgeRequest,
  toBridgeError,
} from "../../platform/bridge.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import {
  type LinkEffect,
  type LinkOutcome,
  type LinkParts,
  type LinkPeer,
  LinkSession,
} from "./link-session.ts";
import { TopicFilters } from "./topic-rules.ts";

/** What a link brings in goes here. */
export interface LinkOwner {
  linkReady(link: Link, peer: LinkPeer): void;
  linkMessage(link: Link, message: BridgeMessage): void;
  linkRequest(link: Link, request: BridgeRequest): Promise<Uint8Array>;
  linkFleet(link: Link, effect: Extract<LinkEffect, { kind: "fleet" }>): void;
  /** Comes once, whichever side ended it. */
  linkClosed(link: Link, error: BridgeError | undefined): void;
  refused(code: BridgeCode): void;
}

/** What a link is made of. */
export interface LinkSetup {
  readonly channel: BridgeLinkChannel;
  readonly principal: BridgePrincipal;
  readonly session: LinkParts;
  readonly clock: Clock;
  readonly owner: LinkOwner;
  /** Most that waits for the other end. */
  readonly queueBytesMax: number;
  /** How long the other end may take to say who it is. */
  readonly handshakeMs: number;
}

/** How often it is looked at whether an attached device still may be. */
const LOOK_MS = 10_000;

interface Waiting {
  readonly settle: (outcome: LinkOutcome) => void;
  readonly timer: Timer;
}

/** Performs what a {@link LinkSession} wants done, and waits for answers. */
export class Link implements BridgeLinkReceiver {
  readonly principal: BridgePrincipal;
  readonly #setup: LinkSetup;
  readonly #session: LinkSession;
  readonly #waiting = new Map<number, Waiting>();
  readonly #handshake: Timer;
  #peer: LinkPeer | undefined;
  #filters = new TopicFilters([]);
  #look: Timer | undefined;
  #over = false;

  constructor(setup: LinkSetup) {
    this.#setup = setup;
    this.principal = setup.principal;
    this.#session = new LinkSession(setup.session);
    this.#handshake = setup.clock.setTimer("bridge.handshake", setup.handshakeMs, () =>
      this.close(new BridgeError("bridge.timeout", "the other end did not say who it is")),
    );
    this.#perform(this.#session.open());
  }

  /** Who stands at the other end; undefined before it said so, and after the end. */
  get peer(): LinkPeer | undefined {
    return this.#over ? undefined : this.#peer;
  }

  /** Who stood at the other end, after the end too; undefined when it never said so. */
  get stoodWith(): LinkPeer | undefined {
    return this.#peer;
  }

  /** @returns whether the other end wants messages of the topic */
  wants(topic: string): boolean {
    return this.peer !== undefined && this.#filters.match(topic);
  }

  frame(bytes: Uint8Array): void {
    if (this.#isGood()) this.#perform(this.#session.received(bytes));
  }

  closed(error: BridgeError | undefined): void {
    this.#end(error);
  }

  /** Ends it; the other end is told why. Idempotent. */
  close(error?: BridgeError): void {
    if (this.#over) return;
    this.#setup.channel.close(error);
    this.#end(error);
  }

  /** @throws BridgeError */
  async request(request: BridgeRequest): Promise<Uint8Array> {
    if (this.#over) throw new BridgeError("bridge.unreachable", "the link has ended");
    this.#room(request.payload.length);
    const { number, effects } = this.#session.ask(request);
    const { promise, resolve } = Promise.withResolvers<LinkOutcome>();
    const late = new BridgeError("bridge.timeout", "no answer came in time");
    const timer = this.#setup.clock.setTimer("bridge.request", request.timeoutMs, () => {
      this.#session.forget(number);
      this.#settle(number, { error: late });
    });
    this.#waiting.set(number, { settle: resolve, timer });
    this.#perform(effects);
    const outcome = await promise;
    if ("error" in outcome) throw outcome.error;
    return outcome.payload;
  }

  /** @throws BridgeError when too much waits already */
  message(message: BridgeMessage): void {
    if (!this.#isGood()) return;
    this.#room(message.payload.length);
    this.#perform(this.#session.message(message));
  }

  /** Tells of the whole fleet. */
  fleet(agents: readonly BridgeAgent[]): void {
    this.#perform(this.#session.fleet(agents));
  }

  /** Tells what has changed about the fleet. The link ends where too much waits: it would not be true any more. */
  fleetChange(change: BridgeAgentChange): void {
    if (this.peer === undefined || !this.#isGood()) return;
    try {
      this.#room(0);
      this.#perform(this.#session.fleetChange(change));
    } catch (error) {
      this.close(error as BridgeError);
    }
  }

  /** Ends it when the device's credentials have ended or were taken back. @returns false when it is over */
  #isGood(): boolean {
    if (this.#over) return false;
    const { session, principal } = this.#setup;
    const peerId = this.#peer?.peerId;
    if (session.role === "device" || peerId === undefined) return true;
    if (principal.allows("link", peerId)) return true;
    this.#setup.owner.refused("bridge.denied");
    this.close(new BridgeError("bridge.denied", "the credentials are not good any more"));
    return false;
  }

  /** Even if nothing crosses the link. */
  #lookLater(): void {
    this.#look = this.#setup.clock.setTimer("bridge.credentials", LOOK_MS, () => {
      if (this.#isGood()) this.#lookLater();
    });
  }

  #room(bytes: number): void {
    const { channel, queueBytesMax } = this.#setup;
    // A message larger than the bound goes when nothing else waits.
    if (channel.queuedBytes > 0 && channel.queuedBytes + bytes > queueBytesMax)
      throw new BridgeError("bridge.queue-full", "the other end of the link reads too slowly");
  }

  #perform(effects: readonly LinkEffect[]): void {
    for (const effect of effects) {
      if (this.#over) return;
      this.#one(effect);
    }
  }

  #one(effect: LinkEffect): void {
    const { channel, owner } = this.#setup;
    switch (effect.kind) {
      case "send":
        channel.send(effect.frame);
        break;
      case "ready":
        this.#handshake.cancel();
        this.#peer = effect.peer;
        this.#filters = new TopicFilters(effect.peer.filters);
        if (this.#setup.session.role === "gateway") this.#lookLater();
        owner.linkReady(this, effect.peer);
        break;
      case "serve":
        this.#serve(effect.number, effect.request);
        break;
      case "answered":
        this.#settle(effect.number, effect.outcome);
        break;
      case "message":
        owner.linkMessage(this, effect.message);
        break;
      case "fleet":
        owner.linkFleet(this, effect);
        break;
      case "refused":
        owner.refused(effect.code);
        break;
      case "fail":
        owner.refused(effect.error.code);
        this.close(effect.error);
        break;
    }
  }

  #serve(number: number, request: BridgeRequest): void {
    const answer = (outcome: LinkOutcome): void => {
      const bytes = "payload" in outcome ? outcome.payload.length : 0;
      let said = outcome;
      try {
        this.#room(bytes);
      } catch (error) {
        said = { error: error as BridgeError };
      }
      this.#perform(this.#session.answer(number, said));
    };
    this.#setup.owner
      .linkRequest(this, request)
      .then((payload) => answer({ payload }))
      .catch((error: unknown) => answer({ error: toBridgeError(error) }));
  }

  #settle(number: number, outcome: LinkOutcome): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    waiting.timer.cancel();
    waiting.settle(outcome);
  }

  #end(error: BridgeError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#handshake.cancel();
    this.#look?.cancel();
    const lost = new BridgeError("bridge.closed", "the link ended before the answer came");
    for (const number of this.#waiting.keys()) this.#settle(number, { error: lost });
    this.#setup.owner.linkClosed(this, error);
  }
}
