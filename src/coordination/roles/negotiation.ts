import { isLiving } from "../../mesh/membership/table.ts";
import type { RecordVerifier } from "../../mesh/records/record-verifier.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type AssignmentReason,
  isSameChoice,
  type KnownAssignment,
  type RoleChoice,
} from "./assignment.ts";
import { signAssignment, signRenewal } from "./assignment-codec.ts";
import { Candidacy } from "./candidacy.ts";
import { isBetterBy } from "./choice.ts";
import type { FleetMembers, RoleEffects, RoleInput } from "./effects.ts";
import { Electorate } from "./electorate.ts";
import { Inbox } from "./inbox.ts";
import { Links } from "./links.ts";
import { type InForce, Mandate } from "./mandate.ts";
import type { RoleOptions } from "./options.ts";
import { type AgentRoles, areSameRoles, rolesOf } from "./own-roles.ts";
import { type Candidate, standingOf, suitabilityOf } from "./suitability.ts";
import { Turn } from "./turn.ts";

/** A tick this late says that this agent slept, and could not hear signs of life. */
const ASLEEP_MS = 5_000;
const NOBODY: RoleChoice = { validators: [], aggregators: [] };

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
  readonly #mandate: Mandate;
  readonly #inbox: Inbox;
  readonly #candidacy: Candidacy;
  #exchangeIntervalMs: number;
  #exchangeAtMs: number;
  #rebalanceAtMs: number;
  /** As a maker: the next sign of life, the next change, and the last one. */
  #renewAtMs = Number.POSITIVE_INFINITY;
  #reviseAtMs = Number.POSITIVE_INFINITY;
  #revisedAtMs = Number.NEGATIVE_INFINITY;
  #nextTickAtMs: number;
  #roles: AgentRoles = { coordination: "worker", learning: [] };
  #told: KnownAssignment | undefined;
  #adopted = 0;
  #made = 0;
  #left = false;

  constructor(parts: NegotiationParts) {
    const { members, options, random, startMs } = parts;
    const { leaseMs } = options;
    const links = this.#links;
    this.#parts = parts;
    this.#electorate = new Electorate(members, options);
    const electorate = this.#electorate;
    const adopted = (turn: Turn): void => this.#wasAdopted(turn.nowMs);
    const mandate = new Mandate({ members, links, random, leaseMs, adopted });
    this.#mandate = mandate;
    this.#inbox = new Inbox({ ...parts, links, mandate, leaseMs });
    this.#candidacy = new Candidacy({ ...parts, electorate, mandate });
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
    return this.#mandate.inForce(nowMs);
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
    if (turn.nowMs - this.#nextTickAtMs > ASLEEP_MS)
      this.#mandate.slept(this.#nextTickAtMs, turn.nowMs);
    switch (input.kind) {
      case "tick":
        this.#tick(turn);
        break;
      case "message":
        this.#inbox.take(turn, input.from, input.bytes);
        break;
      case "link-up":
        this.#links.up(input.peer, turn.nowMs);
        this.#compare(turn, input.peer);
        break;
      case "link-down":
        this.#links.down(input.peer);
        break;
      case "member":
        this.#member(turn, input.peer, input.change);
        break;
      case "leave":
        if (this.#mandate.isOwn(turn.nowMs)) this.#renew(turn, true);
        this.#left = true;
        return turn.effects(Number.POSITIVE_INFINITY);
    }
    this.#resignIfUnfit(turn);
    this.#candidacy.watch(this.#electorate.self(false), turn.nowMs);
    this.#tell(turn);
    return turn.effects(this.#plan(turn.nowMs));
  }

  #plan(nowMs: number): number {
    const isMaker = this.#mandate.isOwn(nowMs);
    const dueAtMs = Math.min(
      this.#exchangeAtMs,
      this.#rebalanceAtMs,
      this.#candidacy.nextAtMs,
      this.#mandate.leaseEndMs(nowMs),
      isMaker ? this.#renewAtMs : Number.POSITIVE_INFINITY,
      isMaker ? this.#reviseAtMs : Number.POSITIVE_INFINITY,
    );
    this.#nextTickAtMs = Math.max(nowMs, dueAtMs);
    return this.#nextTickAtMs;
  }

  #tick(turn: Turn): void {
    const { nowMs } = turn;
    const self = this.#electorate.self(false);
    if (self !== undefined && this.#candidacy.isDue(self, nowMs))
      this.#make(turn, self, "vacant", false);
    if (this.#mandate.isOwn(nowMs)) {
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
      if (peer !== undefined) this.#compare(turn, peer);
    }
  }

  #compare(turn: Turn, peer: PeerId): void {
    turn.send([peer], { ...this.#mandate.version(turn.nowMs), ask: "compare" });
  }

  #wasAdopted(nowMs: number): void {
    this.#adopted++;
    this.#candidacy.drop();
    // One's own from before a restart: the fleet waits for a sign of life.
    this.#renewAtMs = nowMs;
    this.#reviseAtMs = nowMs + this.#parts.options.settleMs;
  }

  /** A maker looks whether somebody is missing, or could fill a place that is free. */
  #member(
    turn: Turn,
    peer: PeerId,
    change: Extract<RoleInput, { kind: "member" }>["change"],
  ): void {
    const { nowMs } = turn;
    this.#mandate.reconsider(turn, peer);
    const own = this.#mandate.isOwn(nowMs) ? this.#mandate.held?.assignment : undefined;
    if (own === undefined) return;
    const { settleMs, repairSpacingMs, growthSpacingMs, committeeSizes } = this.#parts.options;
    let spacingMs: number | undefined;
    if (own.validators.includes(peer) || own.aggregators.includes(peer)) {
      if (this.#isLost(peer, own)) spacingMs = repairSpacingMs;
    } else if (change !== "suspect" && own.validators.length + 1 < (committeeSizes.at(-1) ?? 1))
      spacingMs = growthSpacingMs;
    if (spacingMs === undefined) return;
    const atMs = Math.max(nowMs + settleMs, this.#revisedAtMs + spacingMs);
    this.#reviseAtMs = Math.min(this.#reviseAtMs, atMs);
  }

  /** It can not keep what the assignment gives it. */
  #isLost(peer: PeerId, { quorum }: KnownAssignment): boolean {
    const member = this.#parts.members.get(peer);
    // Forgotten in a full table is not gone: that is for the next rebalance.
    if (member === undefined) return !this.#parts.members.isPartial();
    const standing = standingOf(member.record, true);
    return !isLiving(member.state) || standing === "none" || (quorum && standing !== "quorum");
  }

  /** Time to look whether somebody else should have it: the maker looks at its committee, others at the maker. */
  #rebalance(turn: Turn): void {
    const { nowMs } = turn;
    const { marginPercent, holdMs } = this.#parts.options;
    if (this.#mandate.isOwn(nowMs)) {
      this.#revise(turn, "rebalanced");
      return;
    }
    const held = this.#mandate.inForce(nowMs);
    const self = this.#electorate.self(false);
    if (held === undefined || self?.standing !== "quorum") return;
    if (nowMs - held.makerSinceMs < holdMs) return;
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
    if (self !== undefined) this.#make(turn, self, reason, reason === "rebalanced");
  }

  #make(turn: Turn, self: Candidate, reason: AssignmentReason, byChoice: boolean): void {
    const { signer, verifier, members, options } = this.#parts;
    const { nowMs } = turn;
    const held = this.#mandate.held?.assignment;
    const choice = this.#electorate.choose(self, held ?? NOBODY, byChoice);
    if (
      held !== undefined &&
      this.#mandate.isOwn(nowMs) &&
      held.quorum === (self.standing === "quorum") &&
      isSameChoice(choice, held)
    )
      return;
    const recordBytes = members.get(self.peer)?.record.bytes;
    if (recordBytes === undefined) return;
    const term = (held?.term ?? 0) + 1;
    const assignment = signAssignment(signer, verifier, { ...choice, term, reason, recordBytes });
    const renewal = signRenewal(signer, assignment, 0, false);
    this.#made++;
    this.#mandate.adopt(turn, { assignment, renewal, renewedAtMs: nowMs }, undefined);
    this.#renewAtMs = nowMs + options.renewIntervalMs;
    this.#reviseAtMs = Number.POSITIVE_INFINITY;
    this.#revisedAtMs = nowMs;
  }

  #resignIfUnfit(turn: Turn): void {
    const { held } = this.#mandate;
    if (held?.assignment.maker !== this.#parts.members.self) return;
    if (this.#mandate.endOf(held, turn.nowMs) === "unfit") this.#renew(turn, true);
  }

  /** A sign of life, or the last one. */
  #renew(turn: Turn, resigned: boolean): void {
    const { held } = this.#mandate;
    if (held === undefined) return;
    const number = held.renewal.number + 1;
    const renewal = signRenewal(this.#parts.signer, held.assignment, number, resigned);
    this.#renewAtMs = turn.nowMs + this.#parts.options.renewIntervalMs;
    this.#mandate.renew(turn, renewal, turn.nowMs, undefined);
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

  #rebalancePauseMs(): number {
    return this.#parts.options.rebalanceIntervalMs * (1 + this.#random() / 10);
  }

  #random(): number {
    return this.#parts.random.next();
  }
}
