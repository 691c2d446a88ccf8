import type { PeerId, Signer } from "../../platform/signer.ts";
import type { AggregatorEffect, AggregatorEvent } from "./aggregator-effects.ts";
import type { RoundHead } from "./chain.ts";
import { contradictionOf, type Evidence, EvidencePool } from "./evidence.ts";
import { SheetHistory } from "./history.ts";
import { PEERS_MAX, SHEET_BYTES_MAX } from "./limits.ts";
import { type RoundPace, type RoundTimes, stalenessOf } from "./options.ts";
import type { Misdeed, Reputation } from "./reputation.ts";
import type { Sheet } from "./sheet.ts";
import { pauseAfter } from "./step.ts";
import type { Base } from "./talk.ts";
import type { TrainerWord } from "./trainer-word.ts";
import { type Waiting, WordBox } from "./word-box.ts";

/** After so many tries an update counts as one that can not be had. */
const TRIES = 3;
/** More tries, one for each time that the trainer says its word again. */
const TRIES_MAX = 8;

/** What a collection is made of. */
export interface CollectionParts {
  readonly task: string;
  readonly self: PeerId;
  readonly pace: RoundPace;
  readonly times: RoundTimes;
  readonly reputation: Reputation;
  readonly effect: (effect: AggregatorEffect) => void;
}

/** What trainers have told, and what of it is here: the half of an aggregator that listens. */
export class Collection {
  readonly #parts: CollectionParts;
  readonly #box: WordBox;
  readonly #evidence = new EvidencePool();
  /** Who trains, by the base. */
  readonly #begun = new Map<PeerId, Base>();
  readonly #gone = new Set<PeerId>();
  readonly #history: SheetHistory;
  #head: RoundHead;
  #sheetRetryAtMs = Number.NEGATIVE_INFINITY;
  #sheetFailures = 0;
  #sheetWanted: string | undefined;
  /** What can be counted, and as of when. */
  #countable: { readonly of: string; readonly words: readonly TrainerWord[] } = {
    of: "",
    words: [],
  };
  /** Somebody who is still waited for: most likely it still is. */
  #waitedFor: PeerId | undefined;

  constructor(parts: CollectionParts, head: RoundHead) {
    this.#parts = parts;
    this.#head = head;
    this.#box = new WordBox(stalenessOf(parts.pace));
    this.#history = new SheetHistory(head, stalenessOf(parts.pace));
  }

  /** Takes what was on disk when the last run ended, by its hash. */
  restore(signer: Signer, sheets: ReadonlyMap<string, Uint8Array>): void {
    this.#history.restore(signer, sheets);
  }

  advance(head: RoundHead): void {
    this.#head = head;
    this.#history.advance(head);
    this.#parts.reputation.roundEnded(head.round);
    this.#forgetCounted();
    for (const [peer, { baseRound }] of this.#begun)
      if (baseRound < head.round) this.#begun.delete(peer);
    this.#sheetWanted = undefined;
    this.#sheetFailures = 0;
    this.#sheetRetryAtMs = Number.NEGATIVE_INFINITY;
  }

  begun(peer: PeerId, base: Base): void {
    if (base.baseRound < this.#head.round) {
      if (base.baseRound < this.#head.round - stalenessOf(this.#parts.pace))
        this.#parts.effect({ kind: "send-head", to: peer });
      return;
    }
    if (this.#begun.size < PEERS_MAX || this.#begun.has(peer)) this.#begun.set(peer, base);
  }

  living(peer: PeerId, alive: boolean): void {
    if (alive) this.#gone.delete(peer);
    else if (this.#gone.size < PEERS_MAX) this.#gone.add(peer);
  }

  isGone(peer: PeerId): boolean {
    return this.#gone.has(peer);
  }

  /** @param isHere its update came along, and is being looked at */
  word(word: TrainerWord, isHere: boolean): void {
    const { reputation, effect } = this.#parts;
    const { trainer } = word;
    const refuse = (reason: Extract<AggregatorEvent, { kind: "refused" }>["reason"]): void =>
      this.#event({ kind: "refused", peer: trainer, reason });
    if (!reputation.isTrusted(trainer)) return refuse("not trusted");
    if (WordBox.isTooFarAhead(word, this.#head.round)) return refuse("too far ahead");
    if (word.baseRound <= this.#head.round) {
      const fault = this.#history.faultOf(word);
      if (fault === "too old") effect({ kind: "send-head", to: trainer });
      if (fault !== undefined && fault !== "not known yet") return refuse(fault);
    }
    const put = this.#box.put(word);
    switch (put.kind) {
      case "new":
        if (this.#evidence.convicts(word)) this.#box.change(put.waiting, "left-out");
        break;
      case "known":
        // It says so again: perhaps it can be reached now.
        if (put.waiting.state === "missing" && put.waiting.failures < TRIES_MAX)
          this.#box.change(put.waiting, "told");
        break;
      case "copy":
        this.#blame(trainer, "free-riding");
        break;
      case "contradiction":
        this.evidence(put.evidence);
        break;
      case "full":
        return refuse("full");
      default:
        put satisfies never;
    }
    if (!isHere || !("waiting" in put)) return;
    if (put.waiting.state === "told" || put.waiting.state === "missing")
      this.#box.arrived(put.waiting);
  }

  /** Somebody lied, here is the proof. */
  evidence(evidence: Evidence): void {
    if (evidence.first.task !== this.#parts.task || !this.#evidence.add(evidence)) return;
    this.#parts.effect({ kind: "gossip", evidence });
    this.#blame(evidence.accused, "equivocation");
    for (const waiting of this.#box.of(evidence.accused))
      if (this.#evidence.convicts(waiting.word)) this.#box.change(waiting, "left-out");
  }

  had(hash: string, is: "good" | "empty" | "malformed"): void {
    const waiting = this.#box.ofUpdate(hash);
    if (waiting?.state !== "fetching") return;
    const { trainer } = waiting.word;
    if (is === "good") {
      this.#box.change(waiting, "held");
      this.#event({ kind: "delivered", round: this.#head.round + 1, peer: trainer });
      return;
    }
    this.#box.change(waiting, "left-out");
    this.#blame(trainer, is === "empty" ? "free-riding" : "wrong-bytes");
  }

  /** What was here is gone. */
  lost(hash: string): void {
    const waiting = this.#box.ofUpdate(hash);
    if (waiting?.state === "held") this.#box.change(waiting, "told");
  }

  unfetchable(hash: string, wrongBytes: boolean, nowMs: number): void {
    if (hash === this.#sheetWanted) {
      this.#sheetWanted = undefined;
      this.#sheetRetryAtMs = nowMs + pauseAfter(++this.#sheetFailures, this.#parts.times.retryMs);
      return;
    }
    const waiting = this.#box.ofUpdate(hash);
    if (waiting?.state !== "fetching") return;
    const { trainer } = waiting.word;
    waiting.failures++;
    waiting.retryAtMs = nowMs + pauseAfter(waiting.failures, this.#parts.times.retryMs);
    if (wrongBytes) {
      this.#box.change(waiting, "left-out");
      this.#blame(trainer, "wrong-bytes");
    } else if (waiting.failures < TRIES) this.#box.change(waiting, "told");
    else {
      this.#box.change(waiting, "missing");
      // Who is gone is not silent. Later tries change nothing more.
      if (waiting.failures === TRIES && !this.#gone.has(trainer)) this.#blame(trainer, "silence");
    }
  }

  /** An update did not fit into the aggregate. */
  spoiled(peer: PeerId): void {
    for (const waiting of this.#box.of(peer))
      if (waiting.state === "held") this.#box.change(waiting, "left-out");
    this.#blame(peer, "wrong-bytes");
  }

  /** @param sheet that was fetched by its hash */
  sheet(sheet: Sheet): void {
    this.#sheetWanted = undefined;
    // Another aggregator may have been told something else.
    for (const word of sheet.words)
      for (const { word: known } of this.#box.of(word.trainer)) {
        const evidence = contradictionOf(known, word);
        if (evidence !== undefined) this.evidence(evidence);
      }
    if (!this.#history.put(sheet)) return;
    this.#parts.reputation.counted(sheet.round, sheet.words);
    this.#forgetCounted();
  }

  /** The sheet that was asked for. */
  get sheetWanted(): string | undefined {
    return this.#sheetWanted;
  }

  /** Asks for what is not here yet. @param holders of sheets */
  fetch(nowMs: number, isActive: boolean, holders: readonly PeerId[]): void {
    const { effect, self } = this.#parts;
    const missing = this.#history.missing();
    if (missing !== undefined && this.#sheetWanted === undefined && this.#sheetRetryAtMs <= nowMs) {
      this.#sheetWanted = missing;
      const others = [this.#head.aggregator, ...holders].filter(
        (peer) => peer !== undefined && peer !== self,
      );
      effect({
        kind: "fetch",
        what: "sheet",
        hash: missing,
        bytesMax: SHEET_BYTES_MAX,
        holders: [...new Set(others)] as PeerId[],
      });
    }
    if (!isActive) return;
    for (const waiting of this.#box.in("told")) {
      const { word, retryAtMs } = waiting;
      if (retryAtMs > nowMs || !this.#mayCount(word)) continue;
      this.#box.change(waiting, "fetching");
      effect({
        kind: "fetch",
        what: "update",
        hash: word.updateHash,
        bytesMax: word.updateBytes,
        holders: word.trainer === self ? [] : [word.trainer],
      });
    }
  }

  /** Something that could be counted is on its way. */
  isFetching(): boolean {
    for (const state of ["fetching", "told"] as const)
      for (const { word } of this.#box.in(state)) if (this.#mayCount(word)) return true;
    return false;
  }

  /**
   * One update for each trainer, its newest, in the order in which their trainers were first heard.
   * @param freshOnly leaves out what began on an older model than the head's
   */
  countable(freshOnly: boolean): readonly TrainerWord[] {
    const { reputation } = this.#parts;
    const versions = [this.#box.version, this.#history.version, reputation.version, freshOnly];
    const of = versions.join();
    if (this.#countable.of !== of) this.#countable = { of, words: this.#newest(freshOnly) };
    return this.#countable.words;
  }

  #newest(freshOnly: boolean): readonly TrainerWord[] {
    const newest = new Map<PeerId, TrainerWord>();
    for (const { word, state } of this.#box.all()) {
      if (state !== "held" || !this.#mayCount(word)) continue;
      if (freshOnly && word.baseRound < this.#head.round) continue;
      const before = newest.get(word.trainer);
      if (before === undefined || before.baseRound < word.baseRound) newest.set(word.trainer, word);
    }
    return [...newest.values()];
  }

  /** Whose updates the head is made of: they are waited for. */
  get knowsWhomToExpect(): boolean {
    return this.#history.lastCounted().size > 0;
  }

  /** Somebody is still waited for. @param isAsked whether an agent is to train in this round */
  isExpecting(isAsked: (peer: PeerId) => boolean): boolean {
    const { round, modelHash } = this.#head;
    const before = this.#history.lastCounted();
    const isExpected = (peer: PeerId): boolean => {
      const base = this.#begun.get(peer);
      const hasBegun = base?.baseRound === round && base.baseHash === modelHash;
      return (hasBegun || (before.has(peer) && isAsked(peer))) && this.#isAwaited(peer);
    };
    if (this.#waitedFor !== undefined && isExpected(this.#waitedFor)) return true;
    for (const peers of [this.#begun.keys(), before])
      for (const peer of peers)
        if (isExpected(peer)) {
          this.#waitedFor = peer;
          return true;
        }
    return false;
  }

  /** It is there, is believed, and nothing came of it yet. */
  #isAwaited(peer: PeerId): boolean {
    if (this.#gone.has(peer) || !this.#parts.reputation.isTrusted(peer)) return false;
    for (const waiting of this.#box.of(peer))
      if (isSettled(waiting, this.#head.round)) return false;
    return true;
  }

  /** Hashes of the updates that are here for the next rounds, those too that are still being looked at. */
  held(): readonly string[] {
    const arrived = [...this.#box.in("fetching")].filter(({ isHere }) => isHere);
    return [...this.#box.in("held"), ...arrived].map(({ word }) => word.updateHash);
  }

  /** Another number after each change of what is held. */
  get heldVersion(): string {
    return `${this.#box.heldVersion}/${this.#history.version}`;
  }

  /** Hashes of the last sheets. */
  sheets(): readonly string[] {
    return this.#history.known();
  }

  nextAtMs(): number {
    let nextAtMs = Number.POSITIVE_INFINITY;
    if (this.#sheetWanted === undefined && this.#history.missing() !== undefined)
      nextAtMs = this.#sheetRetryAtMs;
    for (const { retryAtMs } of this.#box.in("told"))
      if (Number.isFinite(retryAtMs)) nextAtMs = Math.min(nextAtMs, retryAtMs);
    return nextAtMs;
  }

  #mayCount(word: TrainerWord): boolean {
    return (
      this.#history.faultOf(word) === undefined && this.#parts.reputation.isTrusted(word.trainer)
    );
  }

  #forgetCounted(): void {
    const { round } = this.#head;
    this.#box.drop((word) => {
      if (word.baseRound > round) return false;
      const fault = this.#history.faultOf(word);
      return fault !== undefined && fault !== "not known yet";
    });
  }

  #blame(peer: PeerId, misdeed: Misdeed): void {
    this.#parts.reputation.blame(peer, misdeed);
    this.#event({ kind: "blamed", round: this.#head.round + 1, peer, misdeed });
  }

  #event(event: AggregatorEvent): void {
    this.#parts.effect({ kind: "event", event });
  }
}

/** Nothing more is waited for: the update on that base is here, or is left out. */
function isSettled({ word, state }: Waiting, baseRound: number): boolean {
  return word.baseRound === baseRound && state !== "told" && state !== "fetching";
}
