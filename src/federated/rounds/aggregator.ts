import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { AggregatorEffect, AggregatorEvent, AggregatorInput } from "./aggregator-effects.ts";
import { Attempt } from "./attempt.ts";
import { Candidates, turnAfterMs } from "./candidates.ts";
import type { RoundHead } from "./chain.ts";
import { Collection } from "./collection.ts";
import { firstGatherMs } from "./crowd.ts";
import { type RoundPace, type RoundTimes, targetOf } from "./options.ts";
import type { Reputation } from "./reputation.ts";
import { Sample } from "./sample.ts";
import { readSheet } from "./sheet.ts";
import { pauseAfter, type Step } from "./step.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** After so many setbacks of a round, updates on older models are left out. */
const DOUBTS = 2;

/** What an aggregator is made of. */
export interface AggregatorParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** Also tells who this agent is. */
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly pace: RoundPace;
  readonly times: RoundTimes;
  /** Shared with the judge of the same task. */
  readonly reputation: Reputation;
  /** Where the task stands. */
  readonly head: RoundHead;
  /** By hash, what the last `hold` named durable, from before a restart. */
  readonly sheets?: ReadonlyMap<string, Uint8Array>;
  /** Monotonic milliseconds now. */
  readonly startMs: number;
}

/**
 * One agent's part as an aggregator of one task. The first candidate of a round gathers what trainers tell, closes the round, puts the
 * updates together and the record before the committee; the others do so one by one after the deadline, where the round is not over
 * then, or in the place of one that is gone. It keeps nothing: one that begins anew is told everything again. Pure: inputs in, effects out; never throws for anything that a
 * peer says.
 */
export class RoundAggregator {
  readonly #parts: AggregatorParts;
  readonly #self: PeerId;
  readonly #candidates: Candidates;
  readonly #collection: Collection;
  readonly #sample: Sample;
  #members: readonly PeerId[] = [];
  #head: RoundHead;
  #learnedAtMs: number;
  #attempt: Attempt | undefined;
  #attempts = 0;
  /** Of this round. */
  #setbacks = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #saidShort = false;
  #saidTurn = false;
  /** What the newest head is made of, where this agent put it together: others may still ask for it. */
  #before: readonly string[] = [];
  /** As of when it was said what is held. */
  #held: string;
  #effects: AggregatorEffect[] = [];

  constructor(parts: AggregatorParts) {
    const { task, signer, hasher, pace, times, reputation, head, startMs } = parts;
    this.#parts = parts;
    this.#self = signer.peerId;
    this.#head = head;
    this.#learnedAtMs = startMs;
    this.#candidates = new Candidates(hasher, task);
    this.#sample = new Sample(hasher, task, pace);
    const effect = (each: AggregatorEffect): void => void this.#effects.push(each);
    const collection = { task, self: this.#self, pace, times, reputation, effect };
    this.#collection = new Collection(collection, head);
    if (parts.sheets !== undefined) this.#collection.restore(signer, parts.sheets);
    // What was on disk is to stay there.
    this.#held = this.#collection.sheets().length > 0 ? "" : this.#heldKey();
  }

  /** Takes one input. */
  step(input: AggregatorInput): Step<AggregatorEffect> {
    this.#effects = [];
    const overdue = Math.floor((input.nowMs - this.#learnedAtMs) / this.#parts.pace.deadlineMs);
    this.#parts.reputation.roundOverdue(this.#head.round + 1, overdue);
    this.#take(input);
    this.#advance(input.nowMs);
    if (["had", "head", "sheet", "aggregated"].includes(input.kind)) this.#hold();
    return { effects: this.#effects, nextTickAtMs: this.#nextTickAtMs(input.nowMs) };
  }

  #take(input: AggregatorInput): void {
    const { nowMs } = input;
    switch (input.kind) {
      case "tick":
        break;
      case "head":
        this.#onHead(input.head, nowMs);
        break;
      case "aggregators":
        this.#candidates.set(input.peers);
        break;
      case "trainers":
        this.#sample.set(input.peers, input.inFleet);
        break;
      case "committee":
        this.#members = [...input.members];
        break;
      case "begun":
        this.#collection.begun(input.from, input.base);
        break;
      case "word":
        if (input.word.task === this.#parts.task)
          this.#collection.word(input.word, input.isHere ?? false);
        break;
      case "evidence":
        this.#collection.evidence(input.evidence);
        break;
      case "living":
        this.#collection.living(input.peer, input.alive);
        break;
      case "had":
        this.#collection.had(input.hash, input.is);
        break;
      case "sheet":
        this.#onSheet(input.hash, input.bytes, nowMs);
        break;
      case "unfetchable":
        this.#collection.unfetchable(input.hash, input.wrongBytes, nowMs);
        break;
      case "lost":
        this.#collection.lost(input.hash);
        break;
      case "aggregated":
        this.#onAggregated(input, nowMs);
        break;
      case "not-aggregated":
        if (input.attempt !== this.#attempt?.number) break;
        if (input.blamed !== undefined) this.#collection.spoiled(input.blamed);
        this.#setback(input.reason, input.blamed === undefined ? nowMs : undefined);
        break;
      case "proposal-ended":
        this.#onProposalEnded(input, nowMs);
        break;
      default:
        input satisfies never;
    }
  }

  #onHead(head: RoundHead, nowMs: number): void {
    if (head.round <= this.#head.round) return;
    const attempt = this.#attempt;
    const isOwn = attempt?.sheetHash !== undefined && attempt.sheetHash === head.sheetHash;
    this.#head = head;
    this.#learnedAtMs = nowMs;
    this.#collection.advance(head);
    if (isOwn) this.#collection.sheet(attempt.sheet());
    this.#before = isOwn ? attempt.hashes() : [];
    this.#attempt = undefined;
    this.#setbacks = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    this.#saidShort = false;
    this.#saidTurn = false;
  }

  #onSheet(hash: string, bytes: Uint8Array, nowMs: number): void {
    if (hash !== this.#collection.sheetWanted) return;
    const sheet = readSheet(this.#parts.signer, bytes);
    // A committee decided on it, so there is no such sheet but where all its judges lie.
    if (sheet === undefined) this.#collection.unfetchable(hash, true, nowMs);
    else this.#collection.sheet(sheet);
  }

  /** This agent's place among the candidates of the coming round that are there; undefined where it is none. */
  #rank(): number | undefined {
    const candidates = this.#candidates.of(this.#head.round + 1);
    const before = candidates.indexOf(this.#self);
    if (before < 0) return undefined;
    return candidates.slice(0, before).filter((peer) => !this.#collection.isGone(peer)).length;
  }

  #advance(nowMs: number): void {
    const rank = this.#rank();
    const collection = this.#collection;
    if (rank === undefined) return;
    const turnAtMs = this.#learnedAtMs + turnAfterMs(rank, this.#parts.pace);
    const isActive = nowMs >= turnAtMs;
    collection.fetch(nowMs, isActive, this.#members);
    if (!isActive) return;
    const round = this.#head.round + 1;
    const isFirst = this.#candidates.of(round)[0] === this.#self;
    if (!isFirst && !this.#saidTurn) this.#event({ kind: "taken-over", round, rank });
    this.#saidTurn = true;
    const attempt = this.#attempt;
    if (attempt !== undefined) {
      if (attempt.isSubmissionLost(nowMs)) this.#setback("no member has put it through", nowMs);
      return;
    }
    if (nowMs >= this.#retryAtMs && this.#mayClose(nowMs, turnAtMs)) this.#close();
  }

  #mayClose(nowMs: number, turnAtMs: number): boolean {
    const { pace } = this.#parts;
    const collection = this.#collection;
    const have = this.#countable().length;
    if (have >= targetOf(pace)) return true;
    const deadlineAtMs = Math.max(turnAtMs, this.#learnedAtMs + pace.deadlineMs);
    if (nowMs < deadlineAtMs) {
      if (pace.buffered !== undefined || have < pace.agentsMin) return false;
      if (nowMs < this.#learnedAtMs + this.#gatherMs()) return false;
      const isAsked = (peer: PeerId): boolean =>
        this.#sample.isAsked(peer, this.#head.round + 1, 0);
      return !collection.isExpecting(isAsked);
    }
    // What is on its way is waited for a little.
    if (collection.isFetching() && nowMs < deadlineAtMs + pace.takeoverMs / 2) return false;
    if (have >= pace.agentsMin) return true;
    const { agentsMin } = pace;
    if (!this.#saidShort)
      this.#event({ kind: "short-of-agents", round: this.#head.round + 1, have, agentsMin });
    this.#saidShort = true;
    return false;
  }

  /** For how long no round is closed before its deadline. */
  #gatherMs(): number {
    const { pace, times } = this.#parts;
    if (this.#collection.knowsWhomToExpect) return times.gatherMs;
    return firstGatherMs(this.#sample.crowd, times, pace);
  }

  /** After setbacks only what nobody can doubt: judges may lack the sheets that vouch for older updates. */
  #countable(): readonly TrainerWord[] {
    return this.#collection.countable(this.#setbacks >= DOUBTS);
  }

  #close(): void {
    const { task, pace } = this.#parts;
    const words = this.#countable().slice(0, targetOf(pace));
    const attempt = new Attempt(++this.#attempts, task, this.#head, words);
    this.#attempt = attempt;
    const { number, round, counted } = attempt;
    this.#event({ kind: "closed", round, attempt: number, updates: words.length });
    this.#effects.push({ kind: "aggregate", attempt: number, round, head: this.#head, counted });
  }

  #onAggregated(
    { attempt: number, ...made }: Extract<AggregatorInput, { kind: "aggregated" }>,
    nowMs: number,
  ): void {
    const attempt = this.#attempt;
    if (attempt?.number !== number || attempt.sheetHash !== undefined) return;
    const { signer, hasher, pace } = this.#parts;
    const { sheetHash, bytes, value } = attempt.finish(signer, hasher, made);
    this.#effects.push({ kind: "store", hash: sheetHash, bytes });
    const { modelHash } = made;
    this.#event({ kind: "proposed", round: attempt.round, attempt: number, modelHash });
    if (this.#members.includes(this.#self)) {
      this.#effects.push({ kind: "propose", attempt: number, value });
      return;
    }
    const to = this.#members[number % Math.max(1, this.#members.length)];
    if (to === undefined) {
      this.#setback("there is no committee yet", nowMs);
      return;
    }
    attempt.submitted(nowMs + pace.takeoverMs);
    this.#effects.push({ kind: "submit", attempt: number, to, value });
  }

  #onProposalEnded(
    { attempt, outcome, reasons }: Extract<AggregatorInput, { kind: "proposal-ended" }>,
    nowMs: number,
  ): void {
    // What was accepted comes as the next head.
    if (attempt !== this.#attempt?.number || outcome === "accepted") return;
    this.#setback([outcome, ...reasons].join(": "), nowMs);
  }

  /** The attempt came to nothing, and there will be another. @param nowMs undefined where nothing has to be waited for */
  #setback(reason: string, nowMs: number | undefined): void {
    const { number = 0 } = this.#attempt ?? {};
    this.#event({ kind: "setback", round: this.#head.round + 1, attempt: number, reason });
    this.#attempt = undefined;
    if (nowMs === undefined) return;
    this.#setbacks++;
    const { times, pace } = this.#parts;
    this.#retryAtMs = nowMs + Math.min(pauseAfter(this.#setbacks, times.retryMs), pace.deadlineMs);
  }

  #hold(): void {
    const held = this.#heldKey();
    if (held === this.#held) return;
    this.#held = held;
    const ofAttempt = this.#attempt?.hashes() ?? [];
    const hashes = [...new Set([...this.#before, ...this.#collection.held(), ...ofAttempt])];
    const durable = this.#parts.pace.buffered === undefined ? [] : this.#collection.sheets();
    this.#effects.push({ kind: "hold", hashes, durable });
  }

  #heldKey(): string {
    const { number, sheetHash } = this.#attempt ?? {};
    return [this.#collection.heldVersion, this.#head.round, number, sheetHash].join("/");
  }

  #nextTickAtMs(nowMs: number): number {
    const rank = this.#rank();
    if (rank === undefined) return Number.POSITIVE_INFINITY;
    const { pace } = this.#parts;
    const turnAtMs = this.#learnedAtMs + turnAfterMs(rank, pace);
    const deadlineAtMs = Math.max(turnAtMs, this.#learnedAtMs + pace.deadlineMs);
    const moments = [
      turnAtMs,
      this.#learnedAtMs + this.#gatherMs(),
      deadlineAtMs,
      deadlineAtMs + pace.takeoverMs / 2,
      this.#retryAtMs,
      this.#collection.nextAtMs(),
      this.#attempt?.submissionEndsAtMs ?? Number.POSITIVE_INFINITY,
    ];
    return Math.min(...moments.filter((atMs) => atMs > nowMs));
  }

  #event(event: AggregatorEvent): void {
    this.#effects.push({ kind: "event", event });
  }
}
