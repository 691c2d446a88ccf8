import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { ProbeOutcome } from "../../wire/agent_mesh/v1/membership_pb.ts";
import type { MessageBody } from "./codec.ts";
import type { MembershipPace } from "./options.ts";
import { ProbeRing } from "./probe-ring.ts";

/** Lifeguard's bound on how patient an agent becomes that finds itself slow. */
export const LOCAL_HEALTH_MAX = 8;
/** How far accusations by others can drive that: they may be lies. */
const ACCUSED_HEALTH_MAX = 3;
const PENDING_MAX = 128;
const RELAYS_MAX = 64;
/** A helper gives up before the asker's patience ends, so that its answer is still of use. */
const RELAY_SHARE = 0.8;

interface PendingProbe {
  readonly peer: PeerId;
  /** When it is tried again; infinity once that is done. */
  retryAtMs: number;
  readonly failAtMs: number;
  retried: boolean;
  helpers: readonly PeerId[];
  readonly answered: Set<PeerId>;
}

interface Relay {
  readonly asker: PeerId;
  readonly askersNonce: number;
  readonly target: PeerId;
  readonly failAtMs: number;
}

/** What the detector does and finds. */
export interface DetectorHost {
  /** Sends on a link, with what news fits. */
  send(to: PeerId, body: MessageBody): void;
  /** It did not answer, not even others. */
  failed(peer: PeerId): void;
  /** Others got an answer from it. */
  reachedByOthers(peer: PeerId): void;
}

/**
 * Probes the neighbours in turn: SWIM (Das, Gupta, Motivala 2002, section 4) with Lifeguard's local health (Dadgar,
 * Phillips, Currey 2018, section IV-A). Probes go over links that are there anyway, so each member is watched by those
 * linked to it, and a helper without a link to the target says so at once. The direct probe is tried two more times.
 */
export class FailureDetector {
  readonly #random: Random;
  readonly #helpersWanted: number;
  readonly #ring: ProbeRing;
  readonly #pending = new Map<number, PendingProbe>();
  readonly #relays = new Map<number, Relay>();
  #nonce: number;
  #localHealth = 0;
  #probeAtMs: number;

  constructor(random: Random, helpersWanted: number, startMs: number) {
    this.#random = random;
    this.#helpersWanted = helpersWanted;
    this.#ring = new ProbeRing(random);
    this.#nonce = Math.floor(random.next() * 2 ** 31);
    this.#probeAtMs = startMs;
  }

  /** 0: all is well with this agent; each step makes it one interval more patient. */
  get localHealth(): number {
    return this.#localHealth;
  }

  get nextAtMs(): number {
    let nextAtMs = this.#ring.size === 0 ? Number.POSITIVE_INFINITY : this.#probeAtMs;
    for (const { retryAtMs, failAtMs } of this.#pending.values())
      nextAtMs = Math.min(nextAtMs, retryAtMs, failAtMs);
    for (const { failAtMs } of this.#relays.values()) nextAtMs = Math.min(nextAtMs, failAtMs);
    return nextAtMs;
  }

  linkUp(peer: PeerId): void {
    this.#ring.add(peer);
  }

  linkDown(peer: PeerId): void {
    this.#ring.remove(peer);
    for (const [nonce, probe] of this.#pending)
      if (probe.peer === peer) this.#pending.delete(nonce);
  }

  /** The pace has changed: the next probe does not wait for what the old one planned. */
  hurry(nowMs: number, pace: MembershipPace): void {
    this.#probeAtMs = Math.min(this.#probeAtMs, nowMs + pace.probeIntervalMs);
  }

  /** This agent was not there for a while: what it waits for tells nothing. */
  forgetPending(): void {
    this.#pending.clear();
    this.#relays.clear();
  }

  /** Others found this agent slow. */
  accused(): void {
    if (this.#localHealth < ACCUSED_HEALTH_MAX) this.#localHealth++;
  }

  tick(nowMs: number, pace: MembershipPace, host: DetectorHost): void {
    for (const [nonce, probe] of this.#pending) {
      if (probe.failAtMs <= nowMs) this.#fail(nonce, probe, host);
      else if (probe.retryAtMs <= nowMs) this.#retry(nonce, probe, nowMs, host);
    }
    for (const [nonce, relay] of this.#relays) {
      if (relay.failAtMs > nowMs) continue;
      this.#relays.delete(nonce);
      this.#answer(relay.asker, relay.askersNonce, ProbeOutcome.NOT_REACHED, host);
    }
    if (this.#probeAtMs > nowMs) return;
    const peer = this.#ring.next();
    if (peer !== undefined) this.probe(peer, nowMs, pace, host);
    // A little chance keeps agents that began together from probing together.
    const jitter = 0.9 + 0.2 * this.#random.next();
    this.#probeAtMs = nowMs + pace.probeIntervalMs * (this.#localHealth + 1) * jitter;
  }

  /** Probes a neighbour now, unless a probe of it is under way. */
  probe(peer: PeerId, nowMs: number, pace: MembershipPace, host: DetectorHost): void {
    if (this.#pending.size >= PENDING_MAX || !this.#ring.has(peer)) return;
    for (const probe of this.#pending.values()) if (probe.peer === peer) return;
    const patience = this.#localHealth + 1;
    const nonce = this.#nextNonce();
    this.#pending.set(nonce, {
      peer,
      retryAtMs: nowMs + pace.probeTimeoutMs * patience,
      failAtMs: nowMs + 2 * pace.probeTimeoutMs * patience,
      retried: false,
      helpers: [],
      answered: new Set(),
    });
    host.send(peer, { case: "probe", value: { nonce } });
  }

  /** A neighbour wants another one probed. @param linked whether there is a link to the target */
  request(
    asker: PeerId,
    askersNonce: number,
    target: PeerId,
    linked: boolean,
    nowMs: number,
    pace: MembershipPace,
    host: DetectorHost,
  ): void {
    if (!linked || this.#relays.size >= RELAYS_MAX) {
      this.#answer(asker, askersNonce, ProbeOutcome.NOT_LINKED, host);
      return;
    }
    const nonce = this.#nextNonce();
    const failAtMs = nowMs + pace.probeTimeoutMs * RELAY_SHARE;
    this.#relays.set(nonce, { asker, askersNonce, target, failAtMs });
    host.send(target, { case: "probe", value: { nonce } });
  }

  /** @returns whether it is the answer of a neighbour to a probe of this agent's own */
  answered(from: PeerId, nonce: number, outcome: ProbeOutcome, host: DetectorHost): boolean {
    const relay = this.#relays.get(nonce);
    if (relay !== undefined && relay.target === from) {
      this.#relays.delete(nonce);
      this.#answer(relay.asker, relay.askersNonce, ProbeOutcome.REACHED, host);
      return true;
    }
    const probe = this.#pending.get(nonce);
    if (probe === undefined) return false;
    if (probe.peer === from) {
      this.#succeed(nonce);
      return true;
    }
    if (!probe.helpers.includes(from)) return false;
    probe.answered.add(from);
    if (outcome === ProbeOutcome.REACHED) {
      this.#succeed(nonce);
      host.reachedByOthers(probe.peer);
    }
    return false;
  }

  /** Twice directly, and the first time by way of others as well. */
  #retry(nonce: number, probe: PendingProbe, nowMs: number, host: DetectorHost): void {
    if (probe.retried) probe.retryAtMs = Number.POSITIVE_INFINITY;
    else {
      probe.retryAtMs = nowMs + (probe.failAtMs - nowMs) / 2;
      probe.helpers = this.#ring.draw(this.#helpersWanted, probe.peer);
      for (const helper of probe.helpers)
        host.send(helper, { case: "probeRequest", value: { nonce, peer: probe.peer } });
    }
    probe.retried = true;
    host.send(probe.peer, { case: "probe", value: { nonce } });
  }

  #succeed(nonce: number): void {
    this.#pending.delete(nonce);
    this.#localHealth = Math.max(0, this.#localHealth - 1);
  }

  /** Helpers that say nothing at all point at this agent rather than at the target. */
  #fail(nonce: number, probe: PendingProbe, host: DetectorHost): void {
    this.#pending.delete(nonce);
    const missing = probe.helpers.length - probe.answered.size;
    const harm = probe.helpers.length === 0 ? 1 : missing;
    this.#localHealth = Math.min(LOCAL_HEALTH_MAX, this.#localHealth + harm);
    host.failed(probe.peer);
  }

  #answer(to: PeerId, nonce: number, outcome: ProbeOutcome, host: DetectorHost): void {
    host.send(to, { case: "probeAnswer", value: { nonce, outcome } });
  }

  #nextNonce(): number {
    this.#nonce = (this.#nonce + 1) >>> 0;
    return this.#nonce;
  }
}
