import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import {
  messagesOnly,
  type Network,
  type NetworkError,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { Deposit, DepositProof } from "./deposit.ts";
import { Forager, type TrailOption } from "./forager.ts";
import {
  decodeMessage,
  encodeMessage,
  isSigned,
  MESSAGE_BYTES_MAX,
  readDeposit,
  signDeposit,
  type ToldDeposit,
} from "./message-codec.ts";
import type { ChoiceOptions, PheromoneOptions } from "./options.ts";
import { PheromoneMap, type TrailLevel } from "./pheromone-map.ts";
import { FIRST_TICK, TickFrames } from "./tick-frames.ts";
import { TrailGossip, type TrailNews } from "./trail-gossip.ts";
import type { TrailChoice, TrailCounters } from "./view.ts";

/** Carries deposits and their acknowledgements. */
export const TRAILS_PROTOCOL: Protocol = {
  id: "/agent-mesh/trails/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 4 * MESSAGE_BYTES_MAX,
  requestsInFlightMax: 1,
};

/** What is deposited within this time is told together. */
const GATHER_MS = 500;
/** Until a new neighbour is told: it has to know whose deposits they are. */
const ACQUAINT_MS = 3_000;
const FRAMES_MAX = 4_096;

/** What a runner works with. */
export interface TrailsRunnerParts {
  readonly network: Pick<Network, "serve" | "send" | "links">;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  /** Larger than at any start before. */
  readonly epoch: number;
  readonly tickMs: number;
  readonly pheromone: PheromoneOptions;
  readonly choice: ChoiceOptions;
  readonly isMember: (peer: PeerId) => boolean;
}

/**
 * Spreads trails over kept links. What was deposited is told soon, and again each tick until it is acknowledged; while
 * nothing is deposited, nothing is said.
 */
export class TrailsRunner {
  readonly #parts: TrailsRunnerParts;
  readonly #map: PheromoneMap;
  readonly #gossip: TrailGossip;
  readonly #forager: Forager;
  readonly #frames = new TickFrames(FRAMES_MAX);
  readonly #linked = new Set<PeerId>();
  readonly #round: WakeUp;
  readonly #startedAtMs: number;
  #roundAtMs = Number.POSITIVE_INFINITY;
  #running = false;
  #forged = 0;

  constructor(parts: TrailsRunnerParts) {
    const { network, clock, signer, pheromone, choice, random, isMember } = parts;
    this.#parts = parts;
    this.#startedAtMs = clock.monotonicMs();
    this.#map = new PheromoneMap({
      self: signer.peerId,
      options: pheromone,
      isMember,
    });
    this.#gossip = new TrailGossip(this.#map);
    this.#forager = new Forager({ map: this.#map, random, options: choice });
    this.#round = new WakeUp(clock, "trails.round", () => this.#tellAll());
    network.serve(TRAILS_PROTOCOL, {
      message: (from, bytes) => this.#hear(from, bytes),
      request: messagesOnly("trails"),
    });
  }

  /** Begins to tell and to hear. */
  start(): void {
    this.#running = true;
    for (const { peer } of this.#parts.network.links()) this.#link(peer);
  }

  /** Falls silent. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#round.cancel();
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    if (event.kind === "link-up") this.#link(event.link.peer);
    if (event.kind === "link-down") this.#unlink(event.peer);
  }

  /** Deposits on this agent's account. @returns as {@link PheromoneMap.deposit} @throws RangeError, as that does */
  deposit(trail: string, amount: number): number | undefined {
    const tick = this.#tick();
    this.#map.sweep(tick);
    if (!this.#map.deposit(trail, amount, tick)) return undefined;
    this.#roundIn(GATHER_MS);
    return this.#map.level(trail, tick);
  }

  /** Smells and chooses. @returns undefined without options @throws RangeError for a heuristic that is not above 0 */
  choose(options: readonly TrailOption[]): TrailChoice | undefined {
    const tick = this.#tick();
    const drawn = this.#forager.choose(options, tick);
    return drawn && { ...drawn, levels: this.#forager.perceive(options, tick) };
  }

  /** The strongest trails first. */
  list(countMax: number, prefix: string): readonly TrailLevel[] {
    const tick = this.#tick();
    this.#map.sweep(tick);
    return this.#map
      .strongest(this.#map.trailCount, tick)
      .filter(({ trail }) => trail.startsWith(prefix))
      .slice(0, countMax);
  }

  counts(): {
    readonly trails: number;
    readonly deposits: number;
    readonly counters: TrailCounters;
  } {
    const { trailCount, depositCount } = this.#map;
    return {
      trails: trailCount,
      deposits: depositCount,
      counters: { ...this.#map.counters(), forged: this.#forged },
    };
  }

  #tick(): number {
    const { clock, tickMs } = this.#parts;
    return FIRST_TICK + Math.floor((clock.monotonicMs() - this.#startedAtMs) / tickMs);
  }

  #link(peer: PeerId): void {
    if (!this.#running || this.#linked.has(peer)) return;
    this.#linked.add(peer);
    this.#gossip.linkUp(peer);
    if (this.#map.depositCount > 0) this.#roundIn(ACQUAINT_MS);
  }

  #unlink(peer: PeerId): void {
    this.#linked.delete(peer);
    this.#gossip.linkDown(peer);
  }

  /** An earlier round that is due already stands. */
  #roundIn(ms: number): void {
    if (!this.#running) return;
    this.#roundAtMs = Math.min(this.#roundAtMs, this.#parts.clock.monotonicMs() + ms);
    this.#round.at(this.#roundAtMs);
  }

  #tellAll(): void {
    this.#roundAtMs = Number.POSITIVE_INFINITY;
    this.#map.sweep(this.#tick());
    let isAnybodyBehind = false;
    for (const peer of this.#linked) {
      const news = this.#gossip.newsFor(peer);
      if (news === undefined) continue;
      isAnybodyBehind = true;
      this.#tell(peer, news);
    }
    if (isAnybodyBehind) this.#roundIn(this.#parts.tickMs);
  }

  #tell(peer: PeerId, { deposits, through }: TrailNews): void {
    const tick = this.#tick();
    const told = deposits.map((deposit) => this.#toldOf(deposit, tick));
    this.#send(peer, encodeMessage({ deposits: told, through, acknowledged: 0 }));
  }

  /** This agent's own are signed when they are told, since many may be deposited before that. */
  #toldOf({ trail, tick: at, amount, proof }: Deposit, tick: number): ToldDeposit {
    const { signer, epoch } = this.#parts;
    return {
      ageTicks: tick - at,
      proof: proof ?? signDeposit(signer, { trail, epoch, tick: at - FIRST_TICK, amount }),
    };
  }

  #hear(from: PeerId, bytes: Uint8Array): void {
    if (!this.#running) return;
    this.#link(from);
    const { gate } = this.#parts;
    const message = decodeMessage(bytes);
    if (message === undefined) {
      gate.offence(from, "malformed-message");
      return;
    }
    const { deposits, through, acknowledged } = message;
    if (acknowledged > 0) {
      this.#gossip.acknowledged(from, acknowledged);
      const more = this.#gossip.newsFor(from);
      if (more !== undefined) this.#roundIn(GATHER_MS);
    }
    if (deposits.length === 0) return;
    const tick = this.#tick();
    const known = deposits.flatMap((told) => this.#translated(from, told, tick));
    const { newCount, fault } = this.#gossip.take(known, tick);
    // Whoever joined just now may not be known here yet, and that is nobody's fault.
    if (fault !== undefined && fault !== "not-a-member") gate.offence(from, fault);
    this.#send(from, encodeMessage({ deposits: [], through: 0, acknowledged: through }));
    if (newCount > 0) this.#roundIn(GATHER_MS);
  }

  /** In this agent's own ticks; nothing for what is held already, is forged, or is of before a later start of its agent. */
  #translated(from: PeerId, { proof, ageTicks }: ToldDeposit, nowTick: number): readonly unknown[] {
    const { signer, epoch: ownEpoch } = this.#parts;
    const read = readDeposit(signer, proof);
    if (read === undefined) return [undefined];
    const { origin, epoch, tick: foreign, trail, amount } = read;
    if (isSame(this.#map.proofOf(trail, origin), proof)) return [];
    // Before anything else is believed.
    if (!isSigned(signer, proof)) {
      this.#forged++;
      this.#parts.gate.offence(from, "forged-deposit");
      return [];
    }
    const isOwn = origin === signer.peerId;
    if (isOwn && epoch >= ownEpoch) {
      // Of a start that has not been: a copy of this agent, and its disk of before.
      if (epoch > ownEpoch) return [undefined];
      return [{ origin, trail, amount, tick: foreign + FIRST_TICK, proof }];
    }
    const name = { origin, epoch, tick: foreign };
    const tick = this.#frames.toOwn(name, ageTicks, nowTick, origin === from);
    return tick === undefined ? [] : [{ origin, trail, amount, tick, proof }];
  }

  #send(to: PeerId, bytes: Uint8Array): void {
    const { network, logger } = this.#parts;
    network.send(to, TRAILS_PROTOCOL, bytes).catch((error: NetworkError) => {
      // A node that does not know trails is left alone until it speaks.
      if (error.code === "network.unsupported") this.#unlink(to);
      logger.debug("deposits were not told", { peer: to, code: error.code });
    });
  }
}

/** Signatures are as good as the words that they are under. */
function isSame(held: DepositProof | undefined, told: DepositProof): boolean {
  return (
    held !== undefined &&
    held.signature.length === told.signature.length &&
    held.signature.every((byte, at) => byte === told.signature[at])
  );
}
