import type { Hasher } from "../../platform/hasher.ts";
import type { Signer } from "../../platform/signer.ts";
import type { RoundHead } from "./chain.ts";
import { signRecord } from "./round-record.ts";
import { encodeSheet, inSheetOrder, type Sheet } from "./sheet.ts";
import { type Counted, countedOf } from "./step.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** One try of an aggregator to bring a round to its end: what goes into it, and what came of it so far. */
export class Attempt {
  /** Never given twice by one aggregator. */
  readonly number: number;
  readonly round: number;
  readonly counted: readonly Counted[];
  readonly #sheet: Sheet;
  readonly #samplesBefore: number;
  #sheetHash: string | undefined;
  #submissionEndsAtMs: number | undefined;

  /** @param words one of each trainer, in any order */
  constructor(number: number, task: string, head: RoundHead, words: readonly TrainerWord[]) {
    this.number = number;
    this.round = head.round + 1;
    const sheetWords = inSheetOrder(words);
    this.#sheet = Object.freeze({
      task,
      round: this.round,
      baseHash: head.modelHash,
      previousSheetHash: head.sheetHash,
      words: sheetWords,
    });
    this.#samplesBefore = head.samplesTotal;
    this.counted = countedOf(sheetWords, this.round);
  }

  /** Undefined before there is a model. */
  get sheetHash(): string | undefined {
    return this.#sheetHash;
  }

  /** Until when a member has time to put it through; undefined where no member was asked. */
  get submissionEndsAtMs(): number | undefined {
    return this.#submissionEndsAtMs;
  }

  sheet(): Sheet {
    return this.#sheet;
  }

  /** All that judges will ask for. */
  hashes(): readonly string[] {
    const updates = this.#sheet.words.map(({ updateHash }) => updateHash);
    return this.#sheetHash === undefined ? updates : [...updates, this.#sheetHash];
  }

  /** There is a model. @returns the sheet, and the record as its aggregator signs it */
  finish(
    signer: Signer,
    hasher: Hasher,
    made: { readonly modelHash: string; readonly stateHash: string | undefined },
  ): { readonly sheetHash: string; readonly bytes: Uint8Array; readonly value: Uint8Array } {
    const { words, ...place } = this.#sheet;
    const bytes = encodeSheet(this.#sheet);
    const sheetHash = hasher.sha256Hex(bytes);
    this.#sheetHash = sheetHash;
    const samples = words.reduce((sum, word) => sum + word.samples, 0);
    const value = signRecord(signer, {
      ...place,
      ...made,
      sheetHash,
      updates: words.length,
      samples,
      samplesTotal: this.#samplesBefore + samples,
    });
    return { sheetHash, bytes, value };
  }

  submitted(endsAtMs: number): void {
    this.#submissionEndsAtMs = endsAtMs;
  }

  isSubmissionLost(nowMs: number): boolean {
    return this.#submissionEndsAtMs !== undefined && nowMs >= this.#submissionEndsAtMs;
  }
}
