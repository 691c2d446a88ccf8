import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { headOf, type RoundHead } from "./chain.ts";
import { SheetHistory } from "./history.ts";
import type { JudgeEffect, JudgeInput } from "./judge-effects.ts";
import { OPEN_MAX, SHEET_BYTES_MAX } from "./limits.ts";
import { type RoundPace, type RoundTimes, stalenessOf } from "./options.ts";
import { rank } from "./rank.ts";
import type { Misdeed, Reputation } from "./reputation.ts";
import { type RoundRecord, readRecord } from "./round-record.ts";
import { readSheet, type Sheet } from "./sheet.ts";
import { faultOfRecord, faultOfSheet } from "./sheet-check.ts";
import { countedOf, pauseAfter, type Step } from "./step.ts";
import type { TrainerWord } from "./trainer-word.ts";
import { Wanted } from "./wanted.ts";

/**
 * Of updates up to so many bytes a link to each trainer costs more than they do: whoever put the round together has them all. Larger
 * ones come from their trainers, so that no aggregator has to upload a whole round to each member.
 */
const DIAL_BYTES = 65_536;
/** Agents that are remembered to be gone. */
const GONE_MAX = 1_024;

/** What a judge is made of. */
export interface JudgeParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** Also tells who this agent is. */
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly pace: RoundPace;
  readonly times: RoundTimes;
  /** Shared with the aggregator of the same task. */
  readonly reputation: Reputation;
  /**
   * Where the task stands: no older than the last record that this member's own copy of the committee's order has decided. A judge that
   * begins behind what it has read could accept a round twice.
   */
  readonly head: RoundHead;
  /** By hash, what the last `hold` named durable, from before a restart. */
  readonly sheets?: ReadonlyMap<string, Uint8Array>;
}

/** A record before the committee. */
interface Case {
  readonly id: string;
  readonly record: RoundRecord;
  readonly proposer: PeerId;
  /** `waiting`: for its turn; `over`: this member has given its verdict. */
  phase: "waiting" | "sheet" | "updates" | "recomputing" | "keeping" | "over";
  /** When this member begins, once it is its turn. */
  beginAtMs: number | undefined;
  sheet: Sheet | undefined;
  /** Of its updates, what is not here yet; undefined while that was not looked at. */
  lacking: Set<TrainerWord> | undefined;
  /** How often this member lacked what it would have taken. */
  failures: number;
}

/**
 * A committee member's judge of one task's rounds. Of the records that are open for a round, the first in the committee's order is judged:
 * by fetching its sheet and its updates and putting them together anew. The others wait until that one has ended, so that no member ever accepts
 * two that could both be decided; this needs no memory beyond the committee's own order. It accepts what is durable here only, so that a
 * decided round is on the flash of a quorum: without its model the task could never go on. Pure: inputs in, effects out; never throws for
 * anything that a peer says.
 */
export class RoundJudge {
  readonly #parts: JudgeParts;
  readonly #self: PeerId;
  readonly #history: SheetHistory;
  readonly #wanted: Wanted;
  /** In the committee's order. */
  readonly #open = new Map<string, Case>();
  #head: RoundHead;
  /** Undefined before the first input, and with a head that is new in this one. */
  #learnedAtMs: number | undefined;
  #members: readonly PeerId[] = [];
  #quorum = 1;
  readonly #gone = new Set<PeerId>();
  #held = "";
  #effects: JudgeEffect[] = [];

  constructor(parts: JudgeParts) {
    this.#parts = parts;
    this.#self = parts.signer.peerId;
    this.#head = parts.head;
    this.#history = new SheetHistory(parts.head, stalenessOf(parts.pace));
    if (parts.sheets !== undefined) this.#history.restore(parts.signer, parts.sheets);
    this.#wanted = new Wanted(parts.times.retryMs);
  }

  /** Takes one input. */
  step(input: JudgeInput): Step<JudgeEffect> {
    const { nowMs } = input;
    this.#effects = [];
    this.#learnedAtMs ??= nowMs;
    const overdue = Math.floor((nowMs - this.#learnedAtMs) / this.#parts.pace.deadlineMs);
    this.#parts.reputation.roundOverdue(this.#head.round + 1, overdue);
    this.#take(input);
    this.#work(nowMs);
    this.#hold();
    return { effects: this.#effects, nextTickAtMs: this.#nextTickAtMs(nowMs) };
  }

  #take(input: JudgeInput): void {
    switch (input.kind) {
      case "tick":
        break;
      case "head":
        this.#onHead(input.head);
        break;
      case "committee":
        this.#members = [...input.members];
        this.#quorum = input.quorum;
        break;
      case "living":
        this.#onLiving(input.peer, input.alive, input.nowMs);
        break;
      case "proposal":
        this.#onProposal(input.id, input.value, input.proposer);
        break;
      case "ended":
        this.#onEnded(input.id, input.accepted);
        break;
      case "sheet":
        this.#onSheet(input.hash, input.bytes, input.nowMs);
        break;
      case "had":
        this.#wanted.had(input.hash);
        break;
      case "unfetchable":
        this.#onUnfetchable(input.hash, input.nowMs);
        break;
      case "recomputed":
        this.#onRecomputed(input);
        break;
      case "kept":
        this.#onKept(input);
        break;
      case "not-recomputed":
        this.#onNotRecomputed(input);
        break;
      default:
        input satisfies never;
    }
  }

  /** Who is gone has no turn, so this member's may have come. */
  #onLiving(peer: PeerId, alive: boolean, nowMs: number): void {
    if (alive) this.#gone.delete(peer);
    else if (this.#gone.size < GONE_MAX) this.#gone.add(peer);
    for (const one of this.#open.values())
      if (one.phase === "waiting" && one.failures === 0 && one.beginAtMs !== undefined)
        one.beginAtMs = Math.min(one.beginAtMs, nowMs + this.#staggerMs(one.record));
  }

  #onHead(head: RoundHead): void {
    if (head.round > this.#head.round) this.#advance(head);
  }

  #onProposal(id: string, value: Uint8Array, proposer: PeerId): void {
    if (this.#open.has(id)) return;
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") return this.#reject(id, record);
    if (record.task !== this.#parts.task) return this.#reject(id, "another task");
    if (record.round <= this.#head.round) return this.#reject(id, "stale");
    if (this.#open.size >= OPEN_MAX) return this.#reject(id, "too many are open");
    const one: Case = {
      id,
      record,
      proposer,
      phase: "waiting",
      beginAtMs: undefined,
      sheet: undefined,
      lacking: undefined,
      failures: 0,
    };
    const isSecond = this.#hasOpenBy(record);
    this.#open.set(id, one);
    // It stays in the order: whoever comes behind it can not know whether it will be decided.
    if (isSecond) this.#reject(id, "another is open");
    else if (!this.#parts.reputation.isTrusted(record.aggregator)) this.#reject(id, "not trusted");
  }

  #hasOpenBy({ aggregator, round }: RoundRecord): boolean {
    for (const { record } of this.#open.values())
      if (record.aggregator === aggregator && record.round === round) return true;
    return false;
  }

  #onEnded(id: string, accepted: boolean): void {
    const one = this.#open.get(id);
    // Nothing that was fetched for it is held any longer. The end of another one must not begin the judging of this one anew.
    if (one !== undefined && one === this.#current()) this.#wanted.clear();
    this.#open.delete(id);
    if (one === undefined || !accepted) return;
    const { record, sheet } = one;
    if (record.round > this.#head.round) this.#advance(headOf(record));
    if (sheet !== undefined) this.#learn(sheet);
  }

  #advance(head: RoundHead): void {
    this.#head = head;
    this.#learnedAtMs = undefined;
    this.#history.advance(head);
    this.#parts.reputation.roundEnded(head.round);
    this.#wanted.clear();
    for (const one of this.#open.values()) {
      if (one.record.round <= head.round) {
        if (one.phase !== "over") this.#reject(one.id, "stale");
      } else if (one.phase !== "over") {
        one.phase = "waiting";
        one.lacking = undefined;
      }
    }
  }

  /** @returns whether it is one of the last */
  #learn(sheet: Sheet): boolean {
    const isLast = this.#history.put(sheet);
    if (isLast) this.#parts.reputation.counted(sheet.round, sheet.words);
    return isLast;
  }

  #onSheet(hash: string, bytes: Uint8Array, nowMs: number): void {
    if (!this.#wanted.isFetching(hash)) return;
    const sheet = readSheet(this.#parts.signer, bytes);
    const one = this.#current();
    if (one?.phase === "sheet" && one.record.sheetHash === hash) {
      this.#wanted.had(hash);
      if (sheet === undefined) this.#convict(one, "its sheet is none");
      else one.sheet = sheet;
      return;
    }
    if (sheet === undefined || !this.#learn(sheet)) this.#wanted.failed(hash, nowMs);
    else this.#wanted.had(hash);
  }

  #onUnfetchable(hash: string, nowMs: number): void {
    if (!this.#wanted.isFetching(hash)) return;
    const failures = this.#wanted.failed(hash, nowMs);
    const one = this.#current();
    if (one === undefined || !this.#wanted.isGivenUp(failures)) return;
    if (one.phase === "sheet" && one.record.sheetHash === hash) {
      this.#blame(one.record, "silence");
      this.#reject(one.id, "its sheet can not be had");
    } else if (one.phase === "sheet")
      // This member's own lack: the others may well know it.
      this.#reject(one.id, "what was counted before is not known here");
    else if (one.phase === "updates") {
      const trainer = one.sheet?.words.find(({ updateHash }) => updateHash === hash)?.trainer;
      if (trainer === undefined) return;
      this.#blame(one.record, "silence");
      this.#reject(one.id, `the update of ${trainer} can not be had`);
    }
  }

  #onRecomputed(input: Extract<JudgeInput, { kind: "recomputed" }>): void {
    const one = this.#open.get(input.id);
    if (one?.phase !== "recomputing") return;
    const { modelHash, stateHash } = one.record;
    if (input.modelHash !== modelHash) this.#convict(one, "another model comes of it");
    else if (input.stateHash !== stateHash) this.#convict(one, "another state comes of it");
    else {
      one.phase = "keeping";
      const hashes = stateHash === undefined ? [modelHash] : [modelHash, stateHash];
      this.#effects.push({ kind: "keep", id: one.id, round: one.record.round, hashes });
    }
  }

  #onKept({ id, durable, nowMs }: Extract<JudgeInput, { kind: "kept" }>): void {
    const one = this.#open.get(id);
    if (one?.phase !== "keeping") return;
    if (durable) this.#decide(id, "accept");
    else this.#tryAgain(one, "what came of it could not be made durable", nowMs);
  }

  #onNotRecomputed(input: Extract<JudgeInput, { kind: "not-recomputed" }>): void {
    const one = this.#open.get(input.id);
    if (one?.phase !== "recomputing") return;
    if (input.lacking !== true)
      return this.#convict(one, `not to be put together: ${input.reason}`);
    this.#tryAgain(one, input.reason, input.nowMs);
  }

  /** It was this member that was lacking something. */
  #tryAgain(one: Case, reason: string, nowMs: number): void {
    one.failures++;
    if (this.#wanted.isGivenUp(one.failures)) return this.#reject(one.id, reason);
    // Something may have gone from here meanwhile, so everything is fetched anew.
    this.#wanted.clear();
    one.lacking = undefined;
    one.phase = "waiting";
    one.beginAtMs = nowMs + pauseAfter(one.failures, this.#parts.times.retryMs);
  }

  /** The first that is open for the round behind the head. */
  #current(): Case | undefined {
    for (const one of this.#open.values())
      if (one.record.round === this.#head.round + 1) return one;
    return undefined;
  }

  #work(nowMs: number): void {
    const one = this.#current();
    if (one === undefined || one.phase === "over" || !this.#members.includes(this.#self)) return;
    one.beginAtMs ??= nowMs + this.#staggerMs(one.record);
    if (one.beginAtMs > nowMs) return;
    const head = this.#head;
    if (one.phase === "waiting") {
      const fault = faultOfRecord(one.record, head, this.#parts.pace);
      if (fault !== undefined) return this.#convict(one, fault);
      this.#effects.push({
        kind: "event",
        event: { kind: "judging", round: one.record.round, id: one.id },
      });
      one.phase = "sheet";
    }
    if (one.phase === "sheet") this.#workOnSheet(one, nowMs);
    if (one.phase === "updates") this.#workOnUpdates(one, nowMs);
  }

  #workOnSheet(one: Case, nowMs: number): void {
    if (one.sheet === undefined) return this.#fetchSheet(one, one.record.sheetHash, nowMs);
    const fault = faultOfSheet(one.sheet, one.record, this.#history);
    if (fault === "not known yet") {
      const missing = this.#history.missing();
      if (missing !== undefined) this.#fetchSheet(one, missing, nowMs);
      return;
    }
    if (fault !== undefined) return this.#convict(one, fault);
    one.phase = "updates";
  }

  #workOnUpdates(one: Case, nowMs: number): void {
    const { sheet, record, id } = one;
    if (sheet === undefined) return;
    one.lacking ??= new Set(sheet.words);
    for (const word of one.lacking) {
      const { updateHash, updateBytes, trainer } = word;
      if (this.#wanted.isHad(updateHash)) {
        one.lacking.delete(word);
        continue;
      }
      const { aggregator } = record;
      const best = updateBytes > DIAL_BYTES ? [trainer, aggregator] : [aggregator, trainer];
      // All of those may be gone by now, and another member have it: it holds what it judges by until the record has ended.
      const holders = this.#others([...best, one.proposer, ...this.#members]);
      if (this.#wanted.due(updateHash, nowMs))
        this.#effects.push({
          kind: "fetch",
          what: "update",
          hash: updateHash,
          bytesMax: updateBytes,
          holders,
        });
    }
    if (one.lacking.size > 0) return;
    one.phase = "recomputing";
    const { round } = record;
    const counted = countedOf(sheet.words, round);
    this.#effects.push({ kind: "recompute", id, round, head: this.#head, counted });
  }

  #fetchSheet({ record, proposer }: Case, hash: string, nowMs: number): void {
    if (!this.#wanted.due(hash, nowMs)) return;
    const holders = this.#others([record.aggregator, proposer, ...this.#members]);
    const [kind, what] = ["fetch", "sheet"] as const;
    this.#effects.push({ kind, what, hash, bytesMax: SHEET_BYTES_MAX, holders });
  }

  /** Who is known to be gone comes last. */
  #others(peers: readonly PeerId[]): readonly PeerId[] {
    const others = [...new Set(peers)].filter((peer) => peer !== this.#self);
    const isGone = (peer: PeerId): boolean => this.#gone.has(peer);
    return [...others.filter((peer) => !isGone(peer)), ...others.filter(isGone)];
  }

  /**
   * The first quorum of those that are there begins at once; the others may find it decided. The aggregator has all of it already, so
   * it is among the first.
   */
  #staggerMs({ task, round, aggregator }: RoundRecord): number {
    if (aggregator === this.#self) return 0;
    const there = this.#members.filter((peer) => peer === this.#self || !this.#gone.has(peer));
    const others = there.filter((peer) => peer !== aggregator);
    const first = this.#quorum - (there.length - others.length);
    const order = rank(this.#parts.hasher, { task, round }, others);
    return order.indexOf(this.#self) < first ? 0 : this.#parts.times.staggerMs;
  }

  /** The record is wrong, and its aggregator signed it. */
  #convict(one: Case, reason: string): void {
    this.#blame(one.record, "false-record");
    this.#reject(one.id, reason);
  }

  #blame({ aggregator: peer, round }: RoundRecord, misdeed: Misdeed): void {
    this.#parts.reputation.blame(peer, misdeed);
    this.#effects.push({ kind: "event", event: { kind: "blamed", round, peer, misdeed } });
  }

  #reject(id: string, reason: string): void {
    this.#decide(id, { reject: reason });
  }

  #decide(id: string, verdict: Extract<JudgeEffect, { kind: "verdict" }>["verdict"]): void {
    const one = this.#open.get(id);
    if (one !== undefined) one.phase = "over";
    this.#effects.push({ kind: "verdict", id, verdict });
  }

  /** What was fetched stays until the record has ended: other members may ask for it. */
  #hold(): void {
    const open = [...this.#open.values()].filter(({ sheet }) => sheet !== undefined);
    const sheets = open.map(({ record }) => record.sheetHash);
    const isBuffered = this.#parts.pace.buffered !== undefined;
    const durable = isBuffered ? [...new Set([...sheets, ...this.#history.known()])] : [];
    const held = [...open.map(({ id }) => id), ...durable].join();
    if (held === this.#held) return;
    this.#held = held;
    const updates = open.flatMap(({ sheet }) => sheet?.words ?? []);
    const hashes = [...sheets, ...updates.map(({ updateHash }) => updateHash)];
    this.#effects.push({ kind: "hold", hashes: [...new Set(hashes)], durable });
  }

  #nextTickAtMs(nowMs: number): number {
    const one = this.#current();
    if (one === undefined || one.phase === "over") return Number.POSITIVE_INFINITY;
    if (one.phase === "waiting") return one.beginAtMs ?? Number.POSITIVE_INFINITY;
    return this.#wanted.nextAtMs(nowMs);
  }
}
