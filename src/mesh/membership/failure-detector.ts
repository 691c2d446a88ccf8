import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { ProbeOutcome } from "../../wire/agent_mesh/v1/membership_pb.ts";
import type { MessageBody } from "./codec.ts";
import type { MembershipPace } from "./options.ts";
import { ProbeTurns } from "./probe-turns.ts";

/** Lifeguard's bound on how patient an agent becomes that finds itself slow. */
export const LOCAL_HEALTH_MAX = 8;
/** How far accusations by others can drive that: they may be lies. */
const ACCUSED_HEALTH_MAX = 3;
const PENDING_MAX = 128;
const RELAYS_MAX = 64;
/** A helper gives up before the asker's patience ends, so that its answer is still of use. */
const RELAY_SHARE = 0.8;
/** In rounds, least and most. */
const FIRST_PROBE = [0, 1] as const;
/** Rounds, least and most, until the next probe of a neighbour; chance keeps agents that began together from probing together. */
const NEXT_PROBE = [0.9, 1.1] as const;
/** While one of the two is enough they take turns: whoever was probed is the sooner next time. */
const NEXT_BY_PROBED = [0.7, 0.9] as const;
const NEXT_BY_PROBER = [0.9, 1] as const;
/** How much sooner than due a neighbour is probed when there is something else to do. */
const SLACK_ROUNDS = 1 / 16;

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
  /** Nobody is suspected, as far as this agent knows. */
  readonly calm: boolean;
}

/**
 * Probes the neighbours in rounds: SWIM (Das, Gupta, Motivala 2002, section 4) with Lifeguard's local health (Dadgar,
 * Phillips, Currey 2018, section IV-A). Probes go over links that are there anyway, so each member is watched by those
 * linked to it, and a helper without a link to the target says so at once. The direct probe is tried two more times.
 *
 * One round is an interval for each link, and each link has its own time in it. A probe shows both sides that the other
 * one is there: as long as all is calm and well it counts for whoever is probed, too, and the next one is due a round later.
 */
export class FailureDetector {
  readonly #random: Random;
  readonly #helpersWanted: number;
  readonly #turns: ProbeTurns;
  readonly #pending = new Map<number, PendingProbe>();
  readonly #relays = new Map<number, Relay>();
  #nonce: number;
  #localHealth = 0;

  constructor(random: Random, helpersWanted: number) {
    this.#random = random;
    this.#helpersWanted = helpersWanted;
    this.#turns = new ProbeTurns(random);
    this.#nonce = Math.floor(random.next() * 2 ** 31);
  }

  /** 0: all is well with this agent; each step makes it one interval more patient. */
  get localHealth(): number {
    return this.#localHealth;
  }

  get nextAtMs(): number {
    let { nextAtMs } = this.#turns;
    for (const { retryAtMs, failAtMs } of this.#pending.values())
      nextAtMs = Math.min(nextAtMs, retryAtMs, failAtMs);
    for (const { failAtMs } of this.#relays.values()) nextAtMs = Math.min(nextAtMs, failAtMs);
    return nextAtMs;
  }

  /** The first probe comes at some time of the first round. */
  linkUp(peer: PeerId, nowMs: number, pace: MembershipPace): void {
    // It counts already when its round is measured.
    this.#turns.set(peer, Number.POSITIVE_INFINITY);
    this.#next(peer, nowMs, pace, FIRST_PROBE);
  }

  linkDown(peer: PeerId): void {
    this.#turns.remove(peer);
    for (const [nonce, probe] of this.#pending)
      if (probe.peer === peer) this.#pending.delete(nonce);
  }

  /** The pace has changed: the next probes do not wait for what the old one planned. */
  hurry(nowMs: number, pace: MembershipPace): void {
    this.#turns.spread(nowMs, this.#roundMs(pace));
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
    this.#probeUntil(nowMs, nowMs, pace, host);
  }

  /** Something was heard, so this agent is awake, and its radio: what is due soon need not wake them once more. */
  awake(nowMs: number, pace: MembershipPace, host: () => DetectorHost): void {
    const untilMs = nowMs + SLACK_ROUNDS * this.#roundMs(pace);
    if (this.#turns.nextAtMs <= untilMs) this.#probeUntil(untilMs, nowMs, pace, host());
  }

  /** A neighbour probes this agent, so it is there itself. */
  probed(peer: PeerId, nowMs: number, pace: MembershipPace, host: DetectorHost): void {
    if (this.#turns.has(peer) && this.#oneIsEnough(host))
      this.#next(peer, nowMs, pace, NEXT_BY_PROBED);
  }

  /** Probes a neighbour now, unless a probe of it is under way. */
  probe(peer: PeerId, nowMs: number, pace: MembershipPace, host: DetectorHost): void {
    if (this.#pending.size >= PENDING_MAX || !this.#turns.has(peer)) return;
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

  #probeUntil(untilMs: number, nowMs: number, pace: MembershipPace, host: DetectorHost): void {
    for (const peer of this.#turns.due(untilMs)) {
      this.#next(peer, nowMs, pace, this.#oneIsEnough(host) ? NEXT_BY_PROBER : NEXT_PROBE);
      this.probe(peer, nowMs, pace, host);
    }
  }

  /** Where somebody is suspected, or this agent finds itself slow, each side of a link looks for itself. */
  #oneIsEnough({ calm }: DetectorHost): boolean {
    return calm && this.#localHealth === 0;
  }

  #next(
    peer: PeerId,
    nowMs: number,
    pace: MembershipPace,
    [least, most]: readonly [number, number],
  ): void {
    const rounds = least + (most - least) * this.#random.next();
    this.#turns.set(peer, nowMs + this.#roundMs(pace) * rounds);
  }

  /** In which each neighbour has its turn: as many intervals as there are neighbours. */
  #roundMs({ probeIntervalMs }: MembershipPace): number {
    return probeIntervalMs * this.#turns.size * (this.#localHealth + 1);
  }

  /** Twice directly, and the first time by way of others as well. */
  #retry(nonce: number, probe: PendingProbe, nowMs: number, host: DetectorHost): void {
    if (probe.retried) probe.retryAtMs = Number.POSITIVE_INFINITY;
    else {
      probe.retryAtMs = nowMs + (probe.failAtMs - nowMs) / 2;
      probe.helpers = this.#turns.draw(this.#helpersWanted, probe.peer);
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
    host.send(to, { case: "probeAnswer", value: { nonce, outcome, links: 0 } });
  }

  #nextNonce(): number {
    this.#nonce = (this.#nonce + 1) >>> 0;
    return this.#nonce;
  }
}
