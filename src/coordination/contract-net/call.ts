import type { PeerId } from "../../platform/signer.ts";
import type { CallChange, CallFault, LossReason, Result, Sent } from "./effects.ts";
import type { Announce, InitiatorMessage, ParticipantMessage } from "./messages.ts";
import type { InitiatorOptions } from "./options.ts";
import type { ContractEnd, Reputation } from "./reputation.ts";
import { type Bid, type BidWeights, ranked } from "./score.ts";
import type { Route, Task, Terms } from "./task.ts";

/** What one step of an initiator does. */
export interface CallTurn {
  readonly nowMs: number;
  readonly changes: CallChange[];
  readonly send: Sent<InitiatorMessage>[];
}

/** What a call is made of. */
export interface CallParts {
  readonly id: string;
  readonly task: Task;
  readonly terms: Terms;
  readonly route: Route;
  readonly candidates: readonly PeerId[];
  /** The award is for somebody else to decide. */
  readonly waits: boolean;
  readonly holdMs: number;
  readonly options: InitiatorOptions;
  readonly weights: BidWeights;
  readonly reputation: Reputation;
}

/** `passed`: it does not take part, or no longer; `lost`: it was awarded the task and does not do it. */
interface Contractor {
  readonly peer: PeerId;
  state: "asked" | "bid" | "passed" | "awarded" | "working" | "done" | "lost";
  /** While awarded: when to say so again. */
  resendAtMs: number;
  /** While awarded or working: when its silence has lasted too long. */
  silentAtMs: number;
  /** When it promised to be done. */
  promisedAtMs: number;
  percent: number;
}

/** One call from its announcement to its end, which comes when its time is up at the latest. */
export class Call {
  readonly #parts: CallParts;
  readonly #contractors = new Map<PeerId, Contractor>();
  /** Bids that may still be awarded, the best one last. */
  #reserves: Bid[] = [];
  readonly #bids: Bid[] = [];
  readonly #active = new Set<Contractor>();
  readonly #results: Result[] = [];
  readonly #bidsEndAtMs: number;
  readonly #expiresAtMs: number;
  #phase: "bidding" | "waiting" | "working" | "ended" = "bidding";
  #unanswered: number;
  #announceAtMs: number;
  #wanted = 0;
  #replaced = 0;

  constructor(parts: CallParts, turn: CallTurn) {
    this.#parts = parts;
    this.#bidsEndAtMs = turn.nowMs + parts.terms.bidWithinMs;
    this.#expiresAtMs = turn.nowMs + parts.terms.expiresInMs;
    for (const peer of parts.candidates)
      this.#contractors.set(peer, {
        peer,
        state: "asked",
        resendAtMs: 0,
        silentAtMs: 0,
        promisedAtMs: 0,
        percent: 0,
      });
    this.#unanswered = this.#contractors.size;
    this.#announceAtMs = turn.nowMs;
    if (this.#unanswered === 0) this.#end(turn, "no-candidates");
    else this.#announce(turn);
  }

  get ended(): boolean {
    return this.#phase === "ended";
  }

  /** When a `tick` is due. */
  get nextAtMs(): number {
    if (this.#phase === "ended") return Number.POSITIVE_INFINITY;
    if (this.#phase === "bidding") return Math.min(this.#announceAtMs, this.#bidsEndAtMs);
    if (this.#phase === "waiting") return Math.min(this.#expiresAtMs, this.#awardByMs);
    let nextAtMs = this.#expiresAtMs;
    for (const { state, resendAtMs, silentAtMs } of this.#active) {
      nextAtMs = Math.min(nextAtMs, silentAtMs);
      if (state === "awarded") nextAtMs = Math.min(nextAtMs, resendAtMs);
    }
    return nextAtMs;
  }

  tick(turn: CallTurn): void {
    const { nowMs } = turn;
    if (this.#phase === "ended") return;
    if (nowMs >= this.#expiresAtMs) this.#end(turn, "expired");
    else if (this.#phase === "waiting") {
      if (nowMs >= this.#awardByMs) this.#end(turn, "not-awarded");
    } else if (this.#phase === "working") this.#watch(turn);
    else if (nowMs >= this.#bidsEndAtMs) this.#close(turn);
    else if (nowMs >= this.#announceAtMs) this.#announce(turn);
  }

  /** Somebody else decided that it goes on. */
  award(turn: CallTurn): void {
    if (this.#phase === "waiting") this.#begin(turn);
  }

  cancel(turn: CallTurn): void {
    if (this.#phase !== "ended") this.#end(turn, "cancelled");
  }

  gone(turn: CallTurn, peer: PeerId): void {
    const contractor = this.#contractors.get(peer);
    if (contractor === undefined || this.#phase === "ended") return;
    if (this.#active.has(contractor)) this.#lose(turn, contractor, "gone", "silence");
    else this.#pass(turn, contractor);
  }

  /** @returns whether it came from somebody that was asked */
  take(turn: CallTurn, from: PeerId, message: ParticipantMessage): boolean {
    const contractor = this.#contractors.get(from);
    if (contractor === undefined) return false;
    switch (message.kind) {
      case "bid":
        this.#bid(turn, contractor, message.cost, message.endsInMs);
        break;
      case "refuse":
        if (contractor.state !== "asked") break;
        turn.changes.push({
          kind: "refused",
          call: this.#parts.id,
          peer: from,
          reason: message.reason,
        });
        this.#pass(turn, contractor);
        break;
      case "accept":
        this.#alive(turn, contractor);
        break;
      case "progress":
        this.#progress(turn, contractor, message.percent);
        break;
      case "result":
        this.#result(turn, contractor, message.output);
        break;
      case "failure":
        this.#say(turn, from, "settle");
        if (this.#active.has(contractor)) {
          // That a bid no longer held was this agent's own slowness.
          const end = message.reason === "no-capacity" ? undefined : "failure";
          this.#lose(turn, contractor, message.reason, end);
        } else this.#pass(turn, contractor);
        break;
    }
    return true;
  }

  get #awardByMs(): number {
    return this.#bidsEndAtMs + this.#parts.holdMs;
  }

  #say(turn: CallTurn, to: PeerId, kind: "award" | "reject" | "cancel" | "settle"): void {
    turn.send.push({ to, message: { kind, call: this.#parts.id } });
  }

  /** To all that have not answered; the others heard it. */
  #announce(turn: CallTurn): void {
    const { id, task, route, holdMs, options } = this.#parts;
    const message: Announce = {
      kind: "announce",
      call: id,
      task,
      route,
      bidWithinMs: this.#bidsEndAtMs - turn.nowMs,
      holdMs,
      expiresInMs: this.#expiresAtMs - turn.nowMs,
    };
    for (const { peer, state } of this.#contractors.values())
      if (state === "asked") turn.send.push({ to: peer, message });
    this.#announceAtMs = turn.nowMs + options.resendMs;
  }

  #bid(turn: CallTurn, contractor: Contractor, cost: number, endsInMs: number): void {
    const { peer, state } = contractor;
    if (state !== "asked" && state !== "passed") return;
    const isLate = this.#phase !== "bidding" || state === "passed";
    if (isLate || turn.nowMs + endsInMs > this.#expiresAtMs) {
      this.#say(turn, peer, "reject");
      this.#pass(turn, contractor);
      return;
    }
    contractor.state = "bid";
    const reputation = this.#parts.reputation.of(peer, turn.nowMs);
    this.#bids.push({ peer, cost, endsInMs, reputation });
    turn.changes.push({ kind: "bid", call: this.#parts.id, peer, cost, endsInMs });
    this.#answered(turn);
  }

  /** It does not take part, or no longer. */
  #pass(turn: CallTurn, contractor: Contractor): void {
    const { state } = contractor;
    if (state !== "asked" && state !== "bid") return;
    contractor.state = "passed";
    if (state === "asked") this.#answered(turn);
  }

  #answered(turn: CallTurn): void {
    this.#unanswered--;
    if (this.#unanswered === 0 && this.#phase === "bidding") this.#close(turn);
  }

  #close(turn: CallTurn): void {
    const { id, terms, options, weights, waits } = this.#parts;
    const bids = ranked(
      this.#bids.filter(({ peer }) => this.#contractors.get(peer)?.state === "bid"),
      weights,
    );
    if (bids.length < terms.agentsMin) {
      this.#end(turn, "too-few-bids");
      return;
    }
    this.#wanted = Math.min(terms.agentsMax, bids.length);
    const keptCount = this.#wanted * (1 + options.reservesPerAgent);
    for (const { peer } of bids.slice(keptCount)) {
      this.#say(turn, peer, "reject");
      const contractor = this.#contractors.get(peer);
      if (contractor !== undefined) contractor.state = "passed";
    }
    this.#reserves = bids.slice(0, keptCount).reverse();
    this.#phase = "waiting";
    if (waits) turn.changes.push({ kind: "bids-ready", call: id, bids });
    else this.#begin(turn);
  }

  #begin(turn: CallTurn): void {
    this.#phase = "working";
    this.#fill(turn);
  }

  /** Awards as long as somebody is wanted, then looks whether the call can go on, or is over. */
  #fill(turn: CallTurn): void {
    const { id, terms, options } = this.#parts;
    while (this.#active.size + this.#results.length < this.#wanted) {
      const bid = this.#replaced <= options.replacementsMax ? this.#reserves.pop() : undefined;
      if (bid === undefined) break;
      const contractor = this.#contractors.get(bid.peer);
      if (contractor?.state !== "bid") continue;
      contractor.state = "awarded";
      contractor.resendAtMs = turn.nowMs + options.resendMs;
      contractor.silentAtMs = turn.nowMs + options.acceptWithinMs;
      contractor.promisedAtMs = turn.nowMs + bid.endsInMs;
      this.#active.add(contractor);
      this.#say(turn, bid.peer, "award");
      turn.changes.push({ kind: "awarded", call: id, peer: bid.peer });
    }
    if (this.#active.size + this.#results.length < terms.agentsMin)
      this.#end(turn, "too-few-contractors");
    else if (this.#active.size === 0) this.#end(turn, undefined);
  }

  /** @returns whether it is a contractor that is at work */
  #alive(turn: CallTurn, contractor: Contractor): boolean {
    const { peer, state } = contractor;
    if (state === "lost" || state === "passed") this.#say(turn, peer, "cancel");
    if (state !== "awarded" && state !== "working") return false;
    contractor.silentAtMs = turn.nowMs + this.#parts.options.silenceMs;
    if (state === "awarded") {
      contractor.state = "working";
      turn.changes.push({ kind: "accepted", call: this.#parts.id, peer });
    }
    return true;
  }

  #progress(turn: CallTurn, contractor: Contractor, percent: number): void {
    if (!this.#alive(turn, contractor) || percent === contractor.percent) return;
    contractor.percent = percent;
    turn.changes.push({ kind: "progress", call: this.#parts.id, peer: contractor.peer, percent });
  }

  /** What comes from somebody that was given up, or replaced, is not counted: the task would be done twice. */
  #result(turn: CallTurn, contractor: Contractor, output: string): void {
    const { peer, promisedAtMs } = contractor;
    this.#say(turn, peer, "settle");
    if (!this.#active.delete(contractor)) return;
    contractor.state = "done";
    const { id, options, reputation } = this.#parts;
    const isLate = turn.nowMs > promisedAtMs + options.graceMs;
    reputation.record(peer, isLate ? "late" : "success", turn.nowMs);
    this.#results.push({ peer, output });
    turn.changes.push({ kind: "result", call: id, peer, output });
    this.#fill(turn);
  }

  #lose(
    turn: CallTurn,
    contractor: Contractor,
    reason: LossReason,
    end: ContractEnd | undefined,
  ): void {
    const { peer } = contractor;
    this.#active.delete(contractor);
    contractor.state = "lost";
    this.#replaced++;
    if (end !== undefined) this.#parts.reputation.record(peer, end, turn.nowMs);
    turn.changes.push({ kind: "lost", call: this.#parts.id, peer, reason });
    this.#fill(turn);
  }

  #watch(turn: CallTurn): void {
    for (const contractor of this.#active) {
      if (this.#phase !== "working" || !this.#active.has(contractor)) continue;
      if (turn.nowMs >= contractor.silentAtMs) {
        this.#say(turn, contractor.peer, "cancel");
        this.#lose(turn, contractor, "silent", "silence");
      } else if (contractor.state === "awarded" && turn.nowMs >= contractor.resendAtMs) {
        contractor.resendAtMs = turn.nowMs + this.#parts.options.resendMs;
        this.#say(turn, contractor.peer, "award");
      }
    }
  }

  #end(turn: CallTurn, fault: CallFault | undefined): void {
    const { id, terms } = this.#parts;
    for (const { peer, state } of this.#contractors.values())
      if (state === "awarded" || state === "working") this.#say(turn, peer, "cancel");
      else if (state === "bid") this.#say(turn, peer, "reject");
    this.#phase = "ended";
    // Time is up for those who are still at it; what is enough without them is enough.
    const isEnough = fault === "expired" && this.#results.length >= terms.agentsMin;
    const outcome = { fault: isEnough ? undefined : fault, results: this.#results };
    turn.changes.push({ kind: "ended", call: id, outcome });
  }
}
