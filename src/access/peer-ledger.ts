import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import type { PeerId } from "../platform/signer.ts";
import type { AuditTrail } from "./audit.ts";
import type { Ban, BanList } from "./ban-list.ts";
import { putNewest } from "./bounded.ts";
import type { MeshAccessOptions } from "./mesh-access-options.ts";
import { OFFENCE_WEIGHTS, type OffenceKind, offenceKindOf } from "./offences.ts";
import { Throttle } from "./throttle.ts";

const PEERS_MAX = 1_024;
const LOG_LINES_PER_MINUTE_MAX = 60;
const LOG_KEYS_MAX = 2_048;
/** A doubling more makes no difference to any longest ban that can be set. */
const STRIKES_MAX = 30;

/** A ban as people see it. */
export interface BanInfo {
  readonly peer: PeerId;
  readonly reason: string;
  /** Who gave it; `automatic` when the score did. */
  readonly by: string;
  /** Wall clock, ms since 1970. */
  readonly givenAtMs: number;
  /** Absent for one that has to be lifted. */
  readonly endsInMs?: number;
  /** Bans that this one followed. */
  readonly strikes: number;
}

/** A peer that broke the rules. */
export interface PeerScore {
  readonly peer: PeerId;
  readonly score: number;
}

interface Parts {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly audit: AuditTrail;
  readonly bans: BanList;
  readonly settings: MeshAccessOptions["ban"];
  /** A ban has begun: whoever keeps links should close those of the peer. */
  readonly onBanned: (peer: PeerId) => void;
}

interface Score {
  value: number;
  /** Monotonic; the value is that of this moment. */
  atMs: number;
}

/**
 * Counts offences. Each adds its weight to the peer's score, which halves with time; at the limit the peer is
 * banned for a while, twice as long every time until it has behaved for long enough. A ban ends by itself.
 */
export class PeerLedger {
  readonly #parts: Parts;
  /** Longest without an offence first. */
  readonly #scores = new Map<PeerId, Score>();
  readonly #counts = new Map<OffenceKind, number>();
  readonly #log = new Throttle({
    perMinuteMax: LOG_LINES_PER_MINUTE_MAX,
    keysMax: LOG_KEYS_MAX,
  });
  /** Bans whose end was not told yet. */
  readonly #running = new Set<PeerId>();

  constructor(parts: Parts) {
    this.#parts = parts;
    for (const ban of parts.bans.all())
      if (parts.bans.remainingMs(ban) > 0) this.#running.add(ban.peer);
  }

  /** Offences since the start, by kind. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** Costs a look into a table, and a look at the clock only for those who were banned. */
  isBanned(peer: PeerId): boolean {
    const { bans } = this.#parts;
    const ban = bans.size === 0 ? undefined : bans.get(peer);
    return ban !== undefined && bans.remainingMs(ban) > 0;
  }

  /** A peer broke the rules. @param name a kind of {@link OFFENCE_WEIGHTS}; any other counts as `other` */
  offence(peer: PeerId, name: string): void {
    const { clock, settings, self } = this.#parts;
    if (peer === self) return;
    const kind = offenceKindOf(name);
    const nowMs = clock.monotonicMs();
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    const score = this.#score(peer, nowMs);
    score.value += OFFENCE_WEIGHTS[kind];
    const told = this.#log.happened(`${peer} ${kind}`, nowMs);
    if (told !== undefined) this.#tell(peer, kind, told.more);
    if (score.value < settings.scoreLimit || this.isBanned(peer)) return;
    this.#scores.delete(peer);
    const strikes = this.#strikes(peer);
    const durationMs = Math.min(settings.cooldownMs * 2 ** strikes, settings.cooldownMaxMs);
    this.#begin({ peer, reason: kind, by: "automatic", durationMs, strikes });
  }

  /**
   * Bans a peer because somebody says so; {@link BanList.flush} makes it last.
   * @param order without `durationMs` until it is lifted
   * @returns false for this very device, and when the list is full of such bans
   */
  ban(
    peer: PeerId,
    order: { readonly reason: string; readonly by: string; readonly durationMs?: number },
  ): boolean {
    if (peer === this.#parts.self) return false;
    // Nobody who gives a ban is called that, so that the list can tell them apart.
    const by = order.by === "automatic" ? "unknown" : order.by;
    return this.#begin({ ...order, by, peer, strikes: this.#strikes(peer) });
  }

  /** Lifts a ban and forgives everything. @returns false when the peer was not banned */
  unban(peer: PeerId, by: string): boolean {
    const banned = this.isBanned(peer);
    this.#scores.delete(peer);
    this.#parts.bans.remove(peer);
    if (banned) this.#end(peer, by);
    return banned;
  }

  /** Bans in force, those that end last first. */
  bans(): readonly BanInfo[] {
    const { bans } = this.#parts;
    return [...bans.all()]
      .filter((ban) => bans.remainingMs(ban) > 0)
      .map((ban) => this.#info(ban))
      .sort((a, b) => (b.endsInMs ?? Number.MAX_VALUE) - (a.endsInMs ?? Number.MAX_VALUE));
  }

  /** Peers that have a score, worst first. */
  scores(): readonly PeerScore[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return [...this.#scores]
      .map(([peer, score]) => ({ peer, score: this.#decayed(score, nowMs) }))
      .sort((a, b) => b.score - a.score);
  }

  /** Tells which bans have ended, forgets what is forgiven, and logs what was held back. About once a minute. */
  sweep(): void {
    const { bans, clock, logger, settings } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#endRunning();
    for (const ban of bans.all())
      if (bans.remainingMs(ban) <= -settings.forgiveAfterMs) bans.remove(ban.peer);
    for (const [peer, score] of this.#scores)
      if (this.#decayed(score, nowMs) < 0.01) this.#scores.delete(peer);
    const { told, others } = this.#log.drain(nowMs);
    for (const { key, more } of told) {
      const [peer = "", kind = ""] = key.split(" ");
      this.#tell(peer, kind, more);
    }
    if (others > 0) logger.warn("further peers broke the rules", { offences: others });
  }

  #begin(ban: Pick<Ban, "peer" | "reason" | "by" | "durationMs" | "strikes">): boolean {
    const { bans, logger, events, audit, onBanned } = this.#parts;
    if (!bans.add(ban)) {
      logger.warn("a peer could not be banned: there are too many bans", { peer: ban.peer });
      return false;
    }
    this.#running.add(ban.peer);
    // Another ban had to give way.
    if (this.#running.size > bans.size) this.#endRunning();
    const { peer, by, reason } = ban;
    const length = ban.durationMs === undefined ? {} : { durationMs: ban.durationMs };
    logger.warn("a peer was banned", { peer, reason, by, ...length });
    events.emit("mesh.peer-banned", { peer, reason, by, ...length });
    audit.note({
      actor: by,
      action: "peer.banned",
      subject: peer,
      outcome: "allowed",
      detail: reason,
    });
    onBanned(peer);
    return true;
  }

  #endRunning(): void {
    const { bans } = this.#parts;
    for (const peer of this.#running) {
      const ban = bans.get(peer);
      if (ban === undefined) this.#end(peer, "room");
      else if (bans.remainingMs(ban) <= 0) this.#end(peer, "time");
    }
  }

  #end(peer: PeerId, by: string): void {
    const { logger, events, audit } = this.#parts;
    this.#running.delete(peer);
    logger.info("a ban has ended", { peer, by });
    events.emit("mesh.peer-unbanned", { peer, by });
    audit.note({ actor: by, action: "peer.unbanned", subject: peer, outcome: "allowed" });
  }

  /** How many bans count against the peer. */
  #strikes(peer: PeerId): number {
    const { bans, settings } = this.#parts;
    const last = bans.get(peer);
    if (last === undefined || bans.remainingMs(last) <= -settings.forgiveAfterMs) return 0;
    return Math.min(last.strikes + 1, STRIKES_MAX);
  }

  #score(peer: PeerId, nowMs: number): Score {
    const score = this.#scores.get(peer) ?? { value: 0, atMs: nowMs };
    score.value = this.#decayed(score, nowMs);
    score.atMs = nowMs;
    putNewest(this.#scores, peer, score, PEERS_MAX);
    return score;
  }

  #decayed({ value, atMs }: Score, nowMs: number): number {
    return value * 2 ** (-Math.max(0, nowMs - atMs) / this.#parts.settings.halfLifeMs);
  }

  #tell(peer: PeerId, kind: string, more: number): void {
    this.#parts.logger.warn("a peer broke the rules", {
      peer,
      kind,
      ...(more > 0 ? { more } : {}),
    });
  }

  #info(ban: Ban): BanInfo {
    const remainingMs = this.#parts.bans.remainingMs(ban);
    return {
      peer: ban.peer,
      reason: ban.reason,
      by: ban.by,
      givenAtMs: ban.givenAtMs,
      ...(Number.isFinite(remainingMs) ? { endsInMs: Math.ceil(remainingMs) } : {}),
      strikes: ban.strikes,
    };
  }
}
