import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { MembershipOptions } from "./options.ts";
import { refreshMs } from "./refresh.ts";
import type { Roster } from "./roster.ts";
import type { MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

/** Refreshes that may be missed until a member is suspected. */
const MISSED_MAX = 4;
/** Members suspected in one round, so that a long silence does not end in a flood. */
const SUSPECTS_MAX = 64;
/** A sweep passes by every member: where they are many, silence counts after hours, and seconds do not matter. */
const SWEEPS_UNTIL_STALE = 16;

/**
 * What is done seldom and looks at everybody: the own record is refreshed, so that all hear of this agent again; members
 * that nobody has heard of for several refreshes are suspected, which finds those whose neighbours died with them; and
 * those that are gone for long are forgotten.
 */
export class Sweeper {
  readonly #table: MemberTable;
  readonly #roster: Roster;
  readonly #random: Random;
  readonly #options: MembershipOptions;
  readonly #linked: (peer: PeerId) => boolean;
  #awakeSinceMs: number;
  #refreshedAtMs: number;
  /** How much of the interval goes by until the next one, so that agents that began together spread out. */
  #refreshShare: number;
  #sweepAtMs: number;

  constructor(
    table: MemberTable,
    roster: Roster,
    random: Random,
    options: MembershipOptions,
    startMs: number,
    linked: (peer: PeerId) => boolean,
  ) {
    this.#linked = linked;
    this.#table = table;
    this.#roster = roster;
    this.#random = random;
    this.#options = options;
    this.#awakeSinceMs = startMs;
    this.#refreshedAtMs = startMs;
    this.#refreshShare = 0.5 + 0.5 * random.next();
    this.#sweepAtMs = startMs + this.#sweepMs;
  }

  get nextAtMs(): number {
    return Math.min(this.#refreshAtMs, this.#sweepAtMs);
  }

  /** Members not heard of for this long are suspected, and are not taken from lists. */
  get staleAfterMs(): number {
    return MISSED_MAX * this.#refreshMs;
  }

  /** This agent was asleep: that it heard nothing says nothing of others. */
  awoke(nowMs: number): void {
    this.#awakeSinceMs = nowMs;
  }

  tick(turn: Turn): void {
    const { nowMs } = turn;
    if (this.#refreshAtMs <= nowMs) {
      this.#roster.refresh(turn);
      this.#refreshedAtMs = nowMs;
      this.#refreshShare = 0.75 + 0.25 * this.#random.next();
    }
    if (this.#sweepAtMs > nowMs) return;
    this.#sweepAtMs = nowMs + this.#sweepMs;
    for (const member of this.#table.goneSinceBefore(nowMs - this.#options.tombstoneMs))
      this.#roster.forget(turn, member);
    const staleBeforeMs = nowMs - this.staleAfterMs;
    if (this.#awakeSinceMs > staleBeforeMs) return;
    const stale = this.#table
      .living()
      .filter(({ heardOfAtMs, state }) => heardOfAtMs < staleBeforeMs && state === "alive")
      .slice(0, SUSPECTS_MAX);
    for (const member of stale) {
      // In a fleet that is larger than the table, news of a member may pass this agent by: no reason to alarm others.
      if (this.#table.full && !this.#linked(member.record.peerId))
        this.#roster.forget(turn, member);
      else this.#roster.suspect(turn, member.record.peerId);
    }
  }

  /** It moves with the fleet: whoever was alone when it started does not refresh as the lonely do. */
  get #refreshAtMs(): number {
    return this.#refreshedAtMs + this.#refreshMs * this.#refreshShare;
  }

  get #refreshMs(): number {
    return refreshMs(this.#table.livingCount, this.#options.refreshIntervalMs);
  }

  /** A quarter of a minute with the options as they are, up to two minutes in a large fleet. */
  get #sweepMs(): number {
    const { refreshIntervalMs } = this.#options;
    const seldom = this.staleAfterMs / SWEEPS_UNTIL_STALE;
    return Math.min(Math.max(refreshIntervalMs / 4, seldom), 2 * refreshIntervalMs);
  }
}
