import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { Alone } from "./alone.ts";
import { Candidates, nextStageMs, stageAfter } from "./candidates.ts";
import { baseOf, type RoundHead } from "./chain.ts";
import { isCrowd, spreadMs } from "./crowd.ts";
import { EDITIONS_MAX, SURE_EDITIONS_MAX } from "./limits.ts";
import { type RoundPace, type RoundTimes, stalenessOf } from "./options.ts";
import { Sample } from "./sample.ts";
import { pauseAfter, type Step } from "./step.ts";
import type { Base, RoundsTalk } from "./talk.ts";
import { Telling } from "./telling.ts";
import type { TrainerEffect, TrainerEvent, TrainerInput } from "./trainer-effects.ts";
import { signWord, type TrainerWord } from "./trainer-word.ts";

/** What was forgotten is on a model from before so many new ones. */
const FORGOTTEN_HEADS = 3;
/** After so many failures on one base a trainer waits for the next. */
const FAILURES_MAX = 3;

/** What a trainer is made of. */
export interface TrainerParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** Also tells who this agent is. */
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly pace: RoundPace;
  readonly times: RoundTimes;
  /** What the last run has kept durable, and whether the update is still held. */
  readonly kept?: { readonly word: TrainerWord; readonly held: boolean };
  /** How often the disk was damaged, where later words than the kept one may have been said; 0 where that can not be. */
  readonly damages?: number;
}

/** What a trainer is doing: `resting` until there is something to do. */
export type TrainerState = "resting" | "fetching" | "training" | "paused" | "keeping" | "telling";

interface Job {
  readonly base: Base;
  /** Nobody is told. */
  readonly isAlone?: true;
  readonly sinceMs: number;
  phase: "fetching" | "ready" | "training" | "paused" | "failed";
  failures: number;
  retryAtMs: number;
}

/** The last word that was signed. It is never unsigned: of its base and edition there is no other. */
interface Kept {
  readonly word: TrainerWord;
  durable: boolean;
  /** The update can be fetched here. */
  held: boolean;
  /** When the disk is asked again. */
  retryAtMs: number;
}

/**
 * One agent's part as a trainer of one task: it trains on each head once, if it may and is chosen, and tells the candidates
 * what it has. A word is durable before anybody hears of it, and a trainer that begins anew says the same again; where its update was lost,
 * and training comes to another one, it says so in a later edition. Of one base and edition it never signs two. Pure: inputs in, effects out; never throws for anything that a peer says.
 */
export class RoundTrainer {
  readonly #parts: TrainerParts;
  readonly #self: PeerId;
  readonly #candidates: Candidates;
  readonly #telling: Telling;
  readonly #sample: Sample;
  readonly #alone: Alone;
  /** Heads for which what was said may be forgotten, the one that this begins with among them. */
  #forgottenHeads: number;
  #mayTrain = false;
  #head: RoundHead | undefined;
  #learnedAtMs = 0;
  #stage = "";
  #job: Job | undefined;
  #kept: Kept | undefined;
  /** Nothing more is done on this one. */
  #done: Base | undefined;
  #held = "";
  #effects: TrainerEffect[] = [];

  constructor(parts: TrainerParts) {
    this.#parts = parts;
    this.#self = parts.signer.peerId;
    this.#candidates = new Candidates(parts.hasher, parts.task);
    this.#sample = new Sample(parts.hasher, parts.task, parts.pace);
    this.#telling = new Telling(parts.times.retellMs);
    this.#alone = new Alone(parts.pace);
    this.#forgottenHeads = (parts.damages ?? 0) > 0 ? 1 + FORGOTTEN_HEADS : 0;
    if (parts.kept !== undefined)
      this.#kept = { ...parts.kept, durable: true, retryAtMs: Number.POSITIVE_INFINITY };
  }

  get state(): TrainerState {
    const phase = this.#job?.phase;
    if (phase === "training" || phase === "paused") return phase;
    if (phase !== undefined) return "fetching";
    if (this.#kept?.durable === false) return "keeping";
    return this.#wordToTell() === undefined ? "resting" : "telling";
  }

  /** Takes one input. */
  step(input: TrainerInput): Step<TrainerEffect> {
    this.#effects = [];
    const { nowMs } = input;
    this.#take(input);
    this.#begin(nowMs);
    this.#goOnAlone(nowMs);
    this.#retry(nowMs);
    this.#hold();
    this.#tell(nowMs);
    return { effects: this.#effects, nextTickAtMs: this.#nextTickAtMs(nowMs) };
  }

  #take(input: TrainerInput): void {
    switch (input.kind) {
      case "tick":
        break;
      case "head":
        this.#onHead(input.head, input.nowMs);
        break;
      case "aggregators":
        this.#candidates.set(input.peers);
        break;
      case "trainers":
        this.#sample.set(input.peers, input.inFleet);
        break;
      case "may-train":
        this.#onMayTrain(input.allowed);
        break;
      case "base":
        if (input.had) this.#onBase(input.base);
        else this.#onFailed(input.base, "the model can not be had", input.nowMs);
        break;
      case "trained":
        this.#onTrained(input);
        break;
      case "trained-alone":
        if (this.#job?.isAlone !== true || !isSame(this.#job.base, input.base)) break;
        this.#job = undefined;
        this.#alone.trained();
        break;
      case "failed":
        this.#onFailed(input.base, input.reason, input.nowMs);
        break;
      case "kept":
        this.#onKept(input.updateHash, input.durable, input.nowMs);
        break;
      case "told":
        this.#telling.answered(`${input.what}/${input.baseRound}`, input.to);
        break;
      case "returned":
        this.#telling.forgotten(input.peer);
        break;
      default:
        input satisfies never;
    }
  }

  #onHead(head: RoundHead, nowMs: number): void {
    if (this.#head !== undefined && head.round <= this.#head.round) return;
    if (this.#head !== undefined) this.#forgottenHeads = Math.max(0, this.#forgottenHeads - 1);
    this.#head = head;
    this.#learnedAtMs = nowMs;
    this.#telling.clear();
    this.#alone.ended();
    const job = this.#job;
    if (job === undefined || (job.isAlone !== true && this.#isUseful(job.base))) return;
    this.#effects.push({ kind: "abandon", base: job.base });
    this.#event({ kind: "abandoned", base: job.base });
    this.#job = undefined;
  }

  #onMayTrain(allowed: boolean): void {
    this.#mayTrain = allowed;
    const job = this.#job;
    if (job?.phase === "training" && !allowed) {
      job.phase = "paused";
      this.#effects.push({ kind: "pause", base: job.base });
    } else if (job?.phase === "paused" && allowed) {
      job.phase = "training";
      this.#effects.push({ kind: "resume", base: job.base });
    } else if (job?.phase === "ready" && allowed) this.#train(job);
  }

  /** Begins on the head, if there is anything to do on it. */
  #begin(nowMs: number): void {
    const head = this.#head;
    if (head === undefined || this.#job !== undefined || !this.#mayTrain) return;
    const base = baseOf(head);
    if (isSame(this.#done, base)) return;
    const kept = this.#kept;
    if (kept !== undefined && isSame(kept.word, base) && (kept.held || !kept.durable)) return;
    // A restart may bring back an older head than the last word's: what was signed on that one is not known any more.
    if (kept !== undefined && kept.word.baseRound > base.baseRound) return;
    if (!this.#sample.isAsked(this.#self, head.round + 1, nowMs - this.#learnedAtMs)) return;
    this.#job = { base, phase: "fetching", sinceMs: nowMs, failures: 0, retryAtMs: nowMs };
    this.#event({ kind: "began", base });
    this.#effects.push({ kind: "fetch-base", base, aggregator: head.aggregator });
  }

  /** What was said on the head comes to nothing for long: it learns on by itself. */
  #goOnAlone(nowMs: number): void {
    if (this.#job !== undefined || !this.#mayTrain || nowMs < this.#aloneAtMs()) return;
    const base = this.#headBase();
    if (base === undefined) return;
    this.#job = {
      base,
      isAlone: true,
      phase: "training",
      sinceMs: nowMs,
      failures: 0,
      retryAtMs: nowMs,
    };
    this.#effects.push({ kind: "train-alone", base });
  }

  #aloneAtMs(): number {
    const base = this.#headBase();
    const isSaid = isSame(this.#kept?.word, base) && this.#kept?.durable === true;
    return isSaid ? this.#alone.dueAtMs(this.#learnedAtMs) : Number.POSITIVE_INFINITY;
  }

  #retry(nowMs: number): void {
    const job = this.#job;
    if (job?.phase === "failed" && job.retryAtMs <= nowMs) {
      job.phase = "fetching";
      const aggregator = isSame(job.base, this.#headBase()) ? this.#head?.aggregator : undefined;
      this.#effects.push({ kind: "fetch-base", base: job.base, aggregator });
    }
    const kept = this.#kept;
    if (kept !== undefined && !kept.durable && kept.retryAtMs <= nowMs) {
      kept.retryAtMs = Number.POSITIVE_INFINITY;
      this.#effects.push({ kind: "keep", word: kept.word });
    }
  }

  #onBase(base: Base): void {
    const job = this.#job;
    if (job?.phase !== "fetching" || !isSame(job.base, base)) return;
    job.phase = "ready";
    if (this.#mayTrain) this.#train(job);
  }

  #train(job: Job): void {
    job.phase = "training";
    this.#effects.push({ kind: "train", base: job.base });
  }

  #onTrained(input: Extract<TrainerInput, { kind: "trained" }>): void {
    const { base, updateHash, updateBytes, samples, loss } = input;
    const job = this.#job;
    if (job === undefined || job.isAlone === true || !isSame(job.base, base)) return;
    if (job.phase !== "training" && job.phase !== "paused") return;
    this.#job = undefined;
    this.#done = base;
    const before = isSame(this.#kept?.word, base) ? this.#kept : undefined;
    if (before?.word.updateHash === updateHash) {
      // The very update that was signed before a restart.
      before.held = true;
      return;
    }
    const edition = this.#editionAfter(before?.word);
    if (edition === undefined) {
      this.#event({ kind: "silent", base });
      return;
    }
    let word: TrainerWord;
    try {
      const { task } = this.#parts;
      const content = { task, ...base, updateHash, updateBytes, samples, loss, edition };
      word = signWord(this.#parts.signer, content);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#event({ kind: "failed", base, reason, givenUp: true });
      return;
    }
    this.#kept = { word, durable: false, held: true, retryAtMs: Number.POSITIVE_INFINITY };
    this.#effects.push({ kind: "keep", word });
  }

  /** @returns one that was not used for that base, as far as can be known; undefined: there is none left */
  #editionAfter(before: TrainerWord | undefined): number | undefined {
    const last = before?.edition ?? 0;
    if (this.#forgottenHeads === 0) return last < SURE_EDITIONS_MAX ? last + 1 : undefined;
    // After each damage another one: the disk may be damaged again before the round is over.
    const { damages = 0 } = this.#parts;
    const unsure = EDITIONS_MAX - SURE_EDITIONS_MAX;
    const edition = SURE_EDITIONS_MAX + 1 + ((damages - 1) % unsure);
    return edition > last ? edition : undefined;
  }

  #onFailed(base: Base, reason: string, nowMs: number): void {
    const job = this.#job;
    if (job === undefined || !isSame(job.base, base)) return;
    if (job.phase === "failed" || job.phase === "ready") return;
    if (job.isAlone === true) {
      this.#event({ kind: "failed", base, reason, givenUp: false });
      this.#alone.giveUp();
      this.#job = undefined;
      return;
    }
    // A model that can not be had yet will be; a training that fails will fail again.
    const wasTraining = job.phase !== "fetching";
    job.failures++;
    const givenUp = wasTraining && job.failures >= FAILURES_MAX;
    this.#event({ kind: "failed", base, reason, givenUp });
    job.phase = "failed";
    job.retryAtMs = nowMs + pauseAfter(job.failures, this.#parts.times.retryMs);
    if (!givenUp) return;
    this.#done = base;
    this.#job = undefined;
  }

  #onKept(updateHash: string, durable: boolean, nowMs: number): void {
    const kept = this.#kept;
    if (kept === undefined || kept.durable || kept.word.updateHash !== updateHash) return;
    kept.durable = durable;
    if (durable) this.#event({ kind: "delivered", word: kept.word });
    else kept.retryAtMs = nowMs + this.#parts.times.retryMs;
  }

  #hold(): void {
    const kept = this.#kept;
    const isWanted = kept?.held === true && this.#isUseful(kept.word);
    const held = isWanted ? kept.word.updateHash : "";
    if (held === this.#held) return;
    this.#held = held;
    this.#effects.push({ kind: "hold", hashes: isWanted ? [held] : [], durable: [] });
  }

  #tell(nowMs: number): void {
    const head = this.#head;
    const talks = this.#talks(nowMs);
    if (head === undefined || talks.length === 0 || nowMs < this.#tellFromMs()) {
      this.#telling.clear();
      return;
    }
    const { pace } = this.#parts;
    const elapsedMs = nowMs - this.#learnedAtMs;
    const round = head.round + 1;
    // All candidates have had their turn after so many; from then on a deadline each.
    const stage = Math.min(stageAfter(elapsedMs, pace), this.#candidates.of(round).length);
    const now = `${stage}/${Math.floor(elapsedMs / pace.deadlineMs)}`;
    if (now !== this.#stage) this.#telling.clear();
    this.#stage = now;
    const wanted = this.#candidates.told(round, stage).flatMap((to) =>
      talks.map((talk) => {
        const { baseRound } = talk.kind === "word" ? talk.word : talk;
        return { what: `${talk.kind}/${baseRound}`, to, talk };
      }),
    );
    this.#telling.only(wanted);
    for (const { what, to, talk } of wanted)
      if (this.#telling.due(what, to, nowMs)) this.#effects.push({ kind: "tell", to, talk });
  }

  #talks(nowMs: number): Extract<TrainerEffect, { kind: "tell" }>["talk"][] {
    const word = this.#wordToTell();
    const job = this.#job;
    const { task } = this.#parts;
    const talks: Extract<RoundsTalk, { kind: "begun" | "word" }>[] = [];
    if (word !== undefined) talks.push({ kind: "word", word });
    if (job !== undefined && job.isAlone !== true && nowMs >= this.#begunAtMs(job))
      talks.push({ kind: "begun", task, ...job.base });
    return talks;
  }

  /** Where so many have something to say, who has its word before a round could be closed needs not say that it has begun. */
  #begunAtMs({ sinceMs }: Job): number {
    return isCrowd(this.#sample.crowd) ? sinceMs + this.#parts.times.gatherMs / 2 : sinceMs;
  }

  /** A crowd spreads what it has to say. Those that were counted in the last round are waited for. */
  #tellFromMs(): number {
    const { times, pace } = this.#parts;
    const spanMs = spreadMs(this.#sample.crowd, times, pace);
    if (spanMs === 0) return this.#learnedAtMs;
    return (
      this.#learnedAtMs + spanMs * this.#sample.placeOf(this.#self, (this.#head?.round ?? 0) + 1)
    );
  }

  #wordToTell(): TrainerWord | undefined {
    const kept = this.#kept;
    if (kept === undefined || !kept.durable || !kept.held) return undefined;
    return this.#isUseful(kept.word) ? kept.word : undefined;
  }

  /** Whether an update of that base can still be counted, as far as is known here. */
  #isUseful({ baseRound, baseHash }: Base): boolean {
    const head = this.#head;
    if (head === undefined) return false;
    if (baseRound === head.round) return baseHash === head.modelHash;
    return baseRound < head.round && baseRound >= head.round - stalenessOf(this.#parts.pace);
  }

  #headBase(): Base | undefined {
    return this.#head && baseOf(this.#head);
  }

  #nextTickAtMs(nowMs: number): number {
    const job = this.#job;
    const hasWords = this.#wordToTell() !== undefined || job !== undefined;
    const { pace } = this.#parts;
    const elapsedMs = nowMs - this.#learnedAtMs;
    const deadlines = Math.floor(elapsedMs / pace.deadlineMs) + 1;
    const isPastAll =
      stageAfter(elapsedMs, pace) > this.#candidates.of((this.#head?.round ?? 0) + 1).length;
    const stageMs =
      isPastAll || !hasWords ? Number.POSITIVE_INFINITY : nextStageMs(elapsedMs, pace);
    return Math.min(
      job === undefined && this.#mayTrain ? this.#aloneAtMs() : Number.POSITIVE_INFINITY,
      job?.phase === "failed" ? job.retryAtMs : Number.POSITIVE_INFINITY,
      this.#kept?.durable === false ? this.#kept.retryAtMs : Number.POSITIVE_INFINITY,
      hasWords ? this.#telling.nextAtMs() : Number.POSITIVE_INFINITY,
      ...(hasWords ? [this.#tellFromMs()] : []).filter((atMs) => atMs > nowMs),
      ...(job === undefined ? [] : [this.#begunAtMs(job)]).filter((atMs) => atMs > nowMs),
      this.#head !== undefined && (hasWords || this.#sample.isPartial(elapsedMs))
        ? this.#learnedAtMs + Math.min(stageMs, deadlines * pace.deadlineMs)
        : Number.POSITIVE_INFINITY,
    );
  }

  #event(event: TrainerEvent): void {
    this.#effects.push({ kind: "event", event });
  }
}

function isSame(one: Base | undefined, other: Base | undefined): boolean {
  return one !== undefined && one.baseRound === other?.baseRound && one.baseHash === other.baseHash;
}
