import { isLiving } from "../../mesh/membership/table.ts";
import type { RecordVerifier } from "../../mesh/records/record-verifier.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { RolesAsk, type RolesMessage } from "../../wire/agent_mesh/v1/roles_pb.ts";
import {
  type AssignmentReason,
  beats,
  isNamed,
  isSameChoice,
  type KnownAssignment,
  type RoleChoice,
  TERM_GAP_MAX,
} from "./assignment.ts";
import {
  isSigned,
  type Renewal,
  readAssignment,
  readRenewal,
  signAssignment,
  signRenewal,
} from "./assignment-codec.ts";
import { isBetterBy } from "./choice.ts";
import type { FleetMembers, RoleEffects, RoleInput } from "./effects.ts";
import { Electorate } from "./electorate.ts";
import { type EndReason, endOf, type Holding } from "./holding.ts";
import { Links } from "./links.ts";
import { decodeMessage } from "./message-codec.ts";
import type { RoleOptions } from "./options.ts";
import { type AgentRoles, areSameRoles, rolesOf } from "./own-roles.ts";
import { type Candidate, standingOf, suitabilityOf } from "./suitability.ts";
import { Turn } from "./turn.ts";

/** Nobody waits for more than this many that are more suitable. */
const RANK_MAX = 20;
/** Later for agents on battery: those on mains go first, though they may not be known yet. */
const RESERVE_DELAY_MS = 10_000;
/** For a newcomer to hear who leads, and for the members to show that one. */
const NEWCOMER_DELAY_MS = 5_000;
const INTRODUCTION_MS = 30_000;
/** A tick this late says that this agent slept, and could not hear signs of life. */
const ASLEEP_MS = 5_000;
/** For those to come in after that. */
const AWAKENING_MS = 20_000;
const NOBODY: RoleChoice = { validators: [], aggregators: [] };

/** This agent means to make an assignment then, with so many before it. */
interface Claim {
  readonly atMs: number;
  readonly rank: number;
}

/** What a negotiation is made of. */
export interface NegotiationParts {
  readonly signer: Signer;
  readonly verifier: RecordVerifier;
  readonly random: Random;
  readonly members: FleetMembers;
  readonly options: RoleOptions;
  /** Monotonic milliseconds now. */
  readonly startMs: number;
}

/** Numbers since the start, for metrics. */
export interface NegotiationCounters {
  /** Assignments that came into force here, own ones among them. */
  readonly adopted: number;
  /** Assignments that this agent made. */
  readonly made: number;
}

/** The assignment that this agent goes by. */
export interface InForce {
  readonly assignment: KnownAssignment;
  /** Since when its maker leads, and since when the maker was last heard of; monotonic milliseconds. */
  readonly makerSinceMs: number;
  readonly renewedAtMs: number;
}

/**
 * Agrees on who does what, without any vote: the most suitable agent that nobody keeps from it says so, and of two that
 * do, everybody takes the same one. What it says lasts as long as it gives signs of life and may hold its place. Pure:
 * inputs in, effects out, one `step` at a time; the caller performs the effects and brings a `tick` when `nextTickAtMs` has
 * come. Never throws for anything that a peer says. The pattern is the bully election of Garcia-Molina, "Elections in a
 * Distributed Computing System", 1982, with terms as in Raft (Ongaro and Ousterhout 2014) in the place of its rounds.
 */
export class RoleNegotiation {
  readonly #parts: NegotiationParts;
  readonly #electorate: Electorate;
  readonly #links = new Links();
  #exchangeIntervalMs: number;
  #held: Holding | undefined;
  #makerSinceMs = 0;
  /** The best assignment of a maker that the members do not show as living yet. */
  #waiting: Holding | undefined;
  #claim: Claim | undefined;
  #exchangeAtMs: number;
  #rebalanceAtMs: number;
  /** As a maker. */
  #renewAtMs = Number.POSITIVE_INFINITY;
  #reviseAtMs = Number.POSITIVE_INFINITY;
  #revisedAtMs = Number.NEGATIVE_INFINITY;
  /** Silence of others does not count before. */
  #excusedUntilMs = Number.NEGATIVE_INFINITY;
  #nextTickAtMs: number;
  #roles: AgentRoles = { coordination: "worker", learning: [] };
  #told: KnownAssignment | undefined;
  #adopted = 0;
  #made = 0;
  #left = false;

  constructor(parts: NegotiationParts) {
    const { members, options, random, startMs } = parts;
    this.#parts = parts;
    this.#electorate = new Electorate(members, options);
    this.#exchangeIntervalMs = options.exchangeIntervalMs;
    this.#exchangeAtMs = startMs + options.exchangeIntervalMs * random.next();
    this.#rebalanceAtMs = startMs + this.#rebalancePauseMs();
    this.#nextTickAtMs = startMs;
  }

  /** What this agent is now. */
  get roles(): AgentRoles {
    return this.#roles;
  }

  /** The assignment in force, if there is one. */
  inForce(nowMs: number): InForce | undefined {
    const held = this.#held;
    if (held === undefined || this.#endOf(held, nowMs) !== undefined) return undefined;
    const { assignment, renewedAtMs } = held;
    return { assignment, makerSinceMs: this.#makerSinceMs, renewedAtMs };
  }

  counters(): NegotiationCounters {
    return { adopted: this.#adopted, made: this.#made };
  }

  /** Compares less often while power is saved. @param factor 1 as in the options, more is slower */
  setPace(factor: number): void {
    this.#exchangeIntervalMs = this.#parts.options.exchangeIntervalMs * factor;
  }

  /** Takes one input. */
  step(input: RoleInput): RoleEffects {
    const turn = new Turn(input.nowMs);
    if (this.#left) return turn.effects(Number.POSITIVE_INFINITY);
    this.#excuseSleep(turn.nowMs);
    switch (input.kind) {
      case "tick":
        this.#tick(turn);
        break;
      case "message":
        this.#message(turn, input.from, input.bytes);
        break;
      case "link-up":
        this.#links.up(input.peer, turn.nowMs);
        turn.send([input.peer], { ...this.#version(turn.nowMs), ask: "compare" });
        break;
      case "link-down":
        this.#links.down(input.peer);
        break;
      case "member":
        this.#member(turn, input.peer, input.change);
        break;
      case "leave":
        if (this.#isMaker(turn.nowMs)) this.#renew(turn, true);
        this.#left = true;
        break;
    }
    this.#settle(turn);
    return turn.effects(this.#plan(turn.nowMs));
  }

  /** What was in force when this agent fell asleep still is, until there was time to hear otherwise. */
  #excuseSleep(nowMs: number): void {
    const fellAsleepAtMs = this.#nextTickAtMs;
    if (nowMs - fellAsleepAtMs <= ASLEEP_MS || this.#held === undefined) return;
    if (this.#endOf(this.#held, fellAsleepAtMs - 1) === undefined)
      this.#excusedUntilMs = nowMs + AWAKENING_MS;
  }

  #plan(nowMs: number): number {
    if (this.#left) return Number.POSITIVE_INFINITY;
    const held = this.#held;
    const isMaker = this.#isMaker(nowMs);
    const leaseEndMs =
      held === undefined || isMaker || this.#endOf(held, nowMs) !== undefined
        ? Number.POSITIVE_INFINITY
        : this.#leaseUntilMs(held);
    const dueAtMs = Math.min(
      this.#exchangeAtMs,
      this.#rebalanceAtMs,
      this.#claim?.atMs ?? Number.POSITIVE_INFINITY,
      leaseEndMs,
      isMaker ? this.#renewAtMs : Number.POSITIVE_INFINITY,
      isMaker ? this.#reviseAtMs : Number.POSITIVE_INFINITY,
    );
    this.#nextTickAtMs = Math.max(nowMs, dueAtMs);
    return this.#nextTickAtMs;
  }

  #tick(turn: Turn): void {
    const { nowMs } = turn;
    if (this.#claim !== undefined && this.#claim.atMs <= nowMs) this.#claimNow(turn);
    if (this.#isMaker(nowMs)) {
      if (this.#reviseAtMs <= nowMs) this.#revise(turn, "members");
      if (this.#renewAtMs <= nowMs) this.#renew(turn, false);
    }
    if (this.#rebalanceAtMs <= nowMs) {
      this.#rebalanceAtMs = nowMs + this.#rebalancePauseMs();
      this.#rebalance(turn);
    }
    if (this.#exchangeAtMs <= nowMs) {
      this.#exchangeAtMs = nowMs + this.#exchangeIntervalMs * (0.75 + this.#random() / 2);
      const peer = this.#links.any(this.#parts.random);
      if (peer !== undefined) turn.send([peer], { ...this.#version(nowMs), ask: "compare" });
    }
  }

  // What neighbours say

  #message(turn: Turn, from: PeerId, bytes: Uint8Array): void {
    if (!this.#links.has(from)) return;
    if (!this.#links.takes(from, turn.nowMs)) {
      turn.offence(from, "roles-flood");
      return;
    }
    const message = decodeMessage(bytes);
    const signed = message?.renewal;
    const renewal = signed === undefined ? undefined : readRenewal(this.#parts.signer, signed);
    if (message === undefined || (signed !== undefined && renewal === undefined)) {
      turn.offence(from, "malformed-message");
      return;
    }
    if (message.ask === RolesAsk.SEND) this.#show(turn, from, false);
    else if (renewal === undefined) this.#show(turn, from, false);
    else if (this.#held !== undefined && isNamed(this.#held.assignment, renewal))
      this.#renewed(turn, from, this.#held, renewal, message);
    else if (message.assignment !== undefined) this.#offered(turn, from, renewal, message);
    else this.#strange(turn, from, renewal);
  }

  /** A neighbour goes by the same. */
  #renewed(
    turn: Turn,
    from: PeerId,
    held: Holding,
    renewal: Renewal,
    { ageMs, ask }: RolesMessage,
  ): void {
    if (renewal.number <= held.renewal.number) {
      if (renewal.number < held.renewal.number && ask === RolesAsk.COMPARE)
        turn.send([from], this.#version(turn.nowMs));
      return;
    }
    if (!isSigned(this.#parts.signer, renewal)) {
      turn.offence(from, "forged-renewal");
      return;
    }
    const renewedAtMs = Math.max(held.renewedAtMs, turn.nowMs - ageMs);
    this.#held = { ...held, renewal, renewedAtMs };
    turn.send(this.#links.all(from), { renewal, ageMs: turn.nowMs - renewedAtMs });
  }

  /** A neighbour goes by something else, of which only the name came. */
  #strange(turn: Turn, from: PeerId, { term, maker, resigned }: Renewal): void {
    const waiting = this.#waiting?.assignment;
    if (waiting?.maker === maker && waiting.term === term) return;
    const held = this.inForce(turn.nowMs)?.assignment;
    const lead = held === undefined ? 0 : held.term - term;
    if (resigned || (lead > 0 && lead <= TERM_GAP_MAX)) this.#show(turn, from, false);
    else turn.send([from], { ask: "send" });
  }

  /** A neighbour goes by something else, and here it is. */
  #offered(turn: Turn, from: PeerId, renewal: Renewal, message: RolesMessage): void {
    const { signer, verifier, options } = this.#parts;
    if (message.assignment === undefined) return;
    const read = readAssignment(signer, verifier, message.assignment);
    if (typeof read === "string") {
      turn.offence(from, read);
      return;
    }
    if (!isNamed(read, renewal) || !isSigned(signer, renewal)) {
      turn.offence(from, "forged-renewal");
      return;
    }
    const ageMs = Math.min(message.ageMs, options.leaseMs);
    const offer: Holding = { assignment: read, renewal, renewedAtMs: turn.nowMs - ageMs };
    if (!this.#consider(turn, offer, from)) this.#show(turn, from, true, message.instead);
  }

  /** @returns whether it is in force from now on */
  #consider(turn: Turn, offer: Holding, from: PeerId | undefined): boolean {
    const { nowMs } = turn;
    const end = this.#endOf(offer, nowMs);
    if (end === undefined && this.#isPreferred(offer, nowMs)) {
      this.#adopt(turn, offer, from);
      return true;
    }
    const isOwn = offer.assignment.maker === this.#parts.members.self;
    // Its maker may be shown as living any moment: after a partition, each side holds the other to be dead.
    const mayCome = end === "gone" || (isOwn && end === "unfit");
    if (
      mayCome &&
      (this.#waiting === undefined || beats(offer.assignment, this.#waiting.assignment))
    )
      this.#waiting = offer;
    return false;
  }

  #isPreferred({ assignment }: Holding, nowMs: number): boolean {
    const held = this.#held;
    if (held === undefined) return true;
    if (this.#endOf(held, nowMs) === undefined) return beats(assignment, held.assignment);
    // What has ended may be followed by an earlier term from the other side of a partition, but never by its own past.
    return assignment.maker !== held.assignment.maker || beats(assignment, held.assignment);
  }

  #adopt(turn: Turn, holding: Holding, from: PeerId | undefined): void {
    const { nowMs } = turn;
    if (this.#held?.assignment.maker !== holding.assignment.maker) this.#makerSinceMs = nowMs;
    this.#held = holding;
    this.#adopted++;
    this.#claim = undefined;
    if (this.#waiting !== undefined && !beats(this.#waiting.assignment, holding.assignment))
      this.#waiting = undefined;
    // One's own from before a restart: the fleet waits for a sign of life.
    this.#renewAtMs = nowMs;
    this.#reviseAtMs = nowMs + this.#parts.options.settleMs;
    turn.send(this.#links.all(from), {
      ...this.#version(nowMs),
      assignment: holding.assignment,
    });
  }

  /**
   * Sends the assignment in force, if there is one.
   * @param instead of one that came
   * @param wasInstead the one that came was sent in the place of this one: then there is nothing more to say
   */
  #show(turn: Turn, to: PeerId, instead: boolean, wasInstead = false): void {
    const assignment = this.inForce(turn.nowMs)?.assignment;
    if (wasInstead || assignment === undefined) return;
    turn.send([to], { ...this.#version(turn.nowMs), assignment, instead });
  }

  /** What this agent goes by, in short: nothing when it has ended otherwise than by its maker's word. */
  #version(nowMs: number): { readonly renewal?: Renewal; readonly ageMs?: number } {
    const held = this.#held;
    if (held === undefined) return {};
    const end = this.#endOf(held, nowMs);
    if (end !== undefined && end !== "resigned") return {};
    return { renewal: held.renewal, ageMs: nowMs - held.renewedAtMs };
  }

  // What happens to members

  #member(
    turn: Turn,
    peer: PeerId,
    change: Extract<RoleInput, { kind: "member" }>["change"],
  ): void {
    const waiting = this.#waiting;
    if (waiting?.assignment.maker === peer) {
      this.#waiting = undefined;
      this.#consider(turn, waiting, undefined);
    }
    const { nowMs } = turn;
    if (!this.#isMaker(nowMs) || this.#held === undefined) return;
    const { options } = this.#parts;
    const { validators, aggregators } = this.#held.assignment;
    if (validators.includes(peer) || aggregators.includes(peer)) {
      if (!this.#isLost(peer, this.#held.assignment)) return;
      this.#reviseBy(
        Math.max(nowMs + options.settleMs, this.#revisedAtMs + options.repairSpacingMs),
      );
    } else if (change !== "suspect" && validators.length + 1 < options.committeeMax)
      this.#reviseBy(
        Math.max(nowMs + options.settleMs, this.#revisedAtMs + options.growthSpacingMs),
      );
  }

  /** It can not keep what the assignment gives it. */
  #isLost(peer: PeerId, { quorum }: KnownAssignment): boolean {
    const member = this.#parts.members.get(peer);
    // Forgotten in a full table is not gone: that is for the next rebalance.
    if (member === undefined) return !this.#parts.members.isPartial();
    const standing = standingOf(member.record, true);
    return !isLiving(member.state) || standing === "none" || (quorum && standing !== "quorum");
  }

  #reviseBy(atMs: number): void {
    this.#reviseAtMs = Math.min(this.#reviseAtMs, atMs);
  }

  // What this agent makes

  /** A vacancy that lasts is claimed, the more suitable the sooner. */
  #settle(turn: Turn): void {
    const { nowMs } = turn;
    const held = this.#held;
    const end = held === undefined ? undefined : this.#endOf(held, nowMs);
    if (held?.assignment.maker === this.#parts.members.self && end === "unfit")
      this.#renew(turn, true);
    const self = this.#electorate.self(false);
    if (self === undefined || !this.#isVacantFor(self, end)) this.#claim = undefined;
    else this.#claim ??= this.#claimLater(self, nowMs);
    this.#tell(turn);
  }

  /** Nobody leads, or only somebody on battery where this agent is on mains. */
  #isVacantFor(self: Candidate, end: EndReason | undefined): boolean {
    if (this.#left) return false;
    if (this.#held === undefined || end !== undefined) return true;
    return self.standing === "quorum" && !this.#held.assignment.quorum;
  }

  #claimLater(self: Candidate, nowMs: number): Claim {
    const { startMs, options } = this.#parts;
    const { claimDelayMs, claimStepMs } = options;
    const rank = this.#rankOf(self);
    const fromMs = Math.max(nowMs, startMs + NEWCOMER_DELAY_MS);
    const reserveMs = self.standing === "quorum" ? 0 : RESERVE_DELAY_MS;
    // Further down there are more at once, so they draw from a longer time.
    const jitterMs = claimStepMs * this.#random() * (1 + rank / 4);
    return { atMs: fromMs + claimDelayMs + reserveMs + rank * claimStepMs + jitterMs, rank };
  }

  #claimNow(turn: Turn): void {
    const claim = this.#claim;
    this.#claim = undefined;
    const self = this.#electorate.self(false);
    if (claim === undefined || self === undefined) return;
    if (this.#mustWait(self, claim.rank, turn.nowMs))
      this.#claim = this.#claimLater(self, turn.nowMs);
    else this.#make(turn, self, "vacant", false);
  }

  /** Others go first: they have come meanwhile; they are on mains and this agent is not; or they lead, and are not met yet. */
  #mustWait(self: Candidate, plannedRank: number, nowMs: number): boolean {
    const { members, startMs } = this.#parts;
    if (this.#rankOf(self) > plannedRank) return true;
    const gone = this.#held?.assignment.maker;
    if (self.standing === "reserve" && this.#electorate.hasQuorumCandidate(gone)) return true;
    const waiting = this.#waiting?.assignment;
    return (
      nowMs < startMs + INTRODUCTION_MS &&
      waiting !== undefined &&
      members.get(waiting.maker) === undefined
    );
  }

  /** Whoever made the assignment that has ended does not stand in the way. */
  #rankOf(self: Candidate): number {
    return Math.min(RANK_MAX, this.#electorate.rankOf(self, this.#held?.assignment.maker));
  }

  /** Time to look whether somebody else should have it: the maker looks at its committee, others at the maker. */
  #rebalance(turn: Turn): void {
    const { nowMs } = turn;
    const { marginPercent, holdMs } = this.#parts.options;
    if (this.#isMaker(nowMs)) {
      this.#revise(turn, "rebalanced");
      return;
    }
    const held = this.#held;
    const self = this.#electorate.self(false);
    if (held === undefined || self === undefined || this.#endOf(held, nowMs) !== undefined) return;
    if (self.standing !== "quorum" || nowMs - this.#makerSinceMs < holdMs) return;
    const { maker, record } = held.assignment;
    const score = suitabilityOf(this.#parts.members.get(maker)?.record ?? record);
    if (!isBetterBy(self.score, score, marginPercent)) return;
    if (this.#electorate.rankOf(self, undefined) > 0) return;
    this.#make(turn, self, "better", false);
  }

  /** The maker changes what has to be changed, or what is worth it. */
  #revise(turn: Turn, reason: AssignmentReason): void {
    this.#reviseAtMs = Number.POSITIVE_INFINITY;
    const self = this.#electorate.self(true);
    if (self === undefined) return;
    this.#make(turn, self, reason, reason === "rebalanced");
  }

  #make(turn: Turn, self: Candidate, reason: AssignmentReason, byChoice: boolean): void {
    const { signer, verifier, members, options } = this.#parts;
    const held = this.#held?.assignment;
    const choice = this.#electorate.choose(self, held ?? NOBODY, byChoice);
    const isOwn = held?.maker === self.peer && this.#isMaker(turn.nowMs);
    const isSame = isOwn && held !== undefined && isSameChoice(choice, held);
    const record = members.get(self.peer)?.record;
    if (isSame || record === undefined) return;
    const term = (held?.term ?? 0) + 1;
    const recordBytes = record.bytes;
    const made = signAssignment(signer, verifier, { ...choice, term, reason, recordBytes });
    const renewal = signRenewal(signer, made, 0, false);
    this.#made++;
    this.#adopt(turn, { assignment: made, renewal, renewedAtMs: turn.nowMs }, undefined);
    this.#renewAtMs = turn.nowMs + options.renewIntervalMs;
    this.#reviseAtMs = Number.POSITIVE_INFINITY;
    this.#revisedAtMs = turn.nowMs;
  }

  /** A sign of life, or the last one. */
  #renew(turn: Turn, resigned: boolean): void {
    const held = this.#held;
    if (held === undefined || held.renewal.resigned) return;
    const number = held.renewal.number + 1;
    const renewal = signRenewal(this.#parts.signer, held.assignment, number, resigned);
    this.#held = { ...held, renewal, renewedAtMs: turn.nowMs };
    this.#renewAtMs = turn.nowMs + this.#parts.options.renewIntervalMs;
    turn.send(this.#links.all(), { renewal, ageMs: 0 });
  }

  #tell(turn: Turn): void {
    const assignment = this.inForce(turn.nowMs)?.assignment;
    if (assignment !== this.#told) {
      this.#told = assignment;
      turn.changes.push({ kind: "assignment", assignment });
    }
    const { members, options } = this.#parts;
    const record = members.get(members.self)?.record;
    if (record === undefined) return;
    const before = this.#roles;
    const after = rolesOf(assignment, record, options.needs);
    if (areSameRoles(before, after)) return;
    this.#roles = after;
    turn.changes.push({ kind: "roles", before, after });
  }

  #isMaker(nowMs: number): boolean {
    const held = this.#held;
    return (
      held?.assignment.maker === this.#parts.members.self && this.#endOf(held, nowMs) === undefined
    );
  }

  #endOf(holding: Holding, nowMs: number): EndReason | undefined {
    return endOf(holding, this.#parts.members, nowMs, this.#leaseUntilMs(holding));
  }

  #leaseUntilMs({ renewedAtMs }: Holding): number {
    return Math.max(renewedAtMs + this.#parts.options.leaseMs, this.#excusedUntilMs);
  }

  #rebalancePauseMs(): number {
    return this.#parts.options.rebalanceIntervalMs * (1 + this.#random() / 10);
  }

  #random(): number {
    return this.#parts.random.next();
  }
}
