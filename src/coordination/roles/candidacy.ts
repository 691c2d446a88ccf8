import type { Random } from "../../platform/random.ts";
import type { FleetMembers } from "./effects.ts";
import type { Electorate } from "./electorate.ts";
import type { Mandate } from "./mandate.ts";
import type { RoleOptions } from "./options.ts";
import type { Candidate } from "./suitability.ts";

/** Nobody waits for more than this many that are more suitable. */
const RANK_MAX = 20;
/** Later for agents on battery: those on mains go first, though they may not be known yet. */
const RESERVE_DELAY_MS = 10_000;
/** For a newcomer to hear who leads, and for the members to show that one. */
const NEWCOMER_DELAY_MS = 5_000;
const INTRODUCTION_MS = 30_000;

interface Parts {
  readonly random: Random;
  readonly options: Pick<RoleOptions, "claimDelayMs" | "claimStepMs">;
  readonly electorate: Electorate;
  readonly mandate: Mandate;
  readonly members: FleetMembers;
  readonly startMs: number;
}

/**
 * When this agent takes a vacancy: the more suitable it is among those it knows, the sooner, so that most of the time only
 * one does, and its word is everywhere before the next one's time has come.
 */
export class Candidacy {
  readonly #parts: Parts;
  #atMs = Number.POSITIVE_INFINITY;
  /** How many came before this agent when the time was set. */
  #rank = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** When it is to be looked at again. */
  get nextAtMs(): number {
    return this.#atMs;
  }

  /** There is nothing to take. */
  drop(): void {
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  /** Looks after each step whether there is a vacancy. @param self absent where this agent may not lead */
  watch(self: Candidate | undefined, nowMs: number): void {
    if (self === undefined || !this.#isVacantFor(self, nowMs)) this.drop();
    else if (this.#atMs === Number.POSITIVE_INFINITY) this.#plan(self, nowMs);
  }

  /** @returns whether the time has come to take it */
  isDue(self: Candidate | undefined, nowMs: number): boolean {
    if (self === undefined || this.#atMs > nowMs) return false;
    if (!this.#mustWait(self, nowMs)) return true;
    this.#plan(self, nowMs);
    return false;
  }

  #plan(self: Candidate, nowMs: number): void {
    const { random, options, startMs } = this.#parts;
    const { claimDelayMs, claimStepMs } = options;
    const rank = this.#rankOf(self);
    const fromMs = Math.max(nowMs, startMs + NEWCOMER_DELAY_MS);
    const reserveMs = self.standing === "quorum" ? 0 : RESERVE_DELAY_MS;
    // Further down there are more at once, so they draw from a longer time.
    const jitterMs = claimStepMs * random.next() * (1 + rank / 4);
    this.#rank = rank;
    this.#atMs = fromMs + claimDelayMs + reserveMs + rank * claimStepMs + jitterMs;
  }

  /** Nobody leads, or only somebody on battery where this agent is on mains. */
  #isVacantFor(self: Candidate, nowMs: number): boolean {
    const held = this.#parts.mandate.inForce(nowMs);
    return held === undefined || (self.standing === "quorum" && !held.assignment.quorum);
  }

  /** Others go first: they have come meanwhile; they are on mains and this agent is not; or they lead, and are not met yet. */
  #mustWait(self: Candidate, nowMs: number): boolean {
    const { electorate, mandate, members, startMs } = this.#parts;
    if (this.#rankOf(self) > this.#rank) return true;
    const gone = mandate.held?.assignment.maker;
    if (self.standing === "reserve" && electorate.hasQuorumCandidate(gone)) return true;
    const { waiting } = mandate;
    return (
      nowMs < startMs + INTRODUCTION_MS &&
      waiting !== undefined &&
      members.get(waiting.maker) === undefined
    );
  }

  /** Whoever made the assignment that has ended does not stand in the way. */
  #rankOf(self: Candidate): number {
    const { electorate, mandate } = this.#parts;
    return Math.min(RANK_MAX, electorate.rankOf(self, mandate.held?.assignment.maker));
  }
}
