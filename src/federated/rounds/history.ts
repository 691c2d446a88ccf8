import type { PeerId, Signer } from "../../platform/signer.ts";
import type { RoundHead } from "./chain.ts";
import { readSheet, type Sheet } from "./sheet.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** Why a word can not go into a round. */
export type WordFault = "another base" | "too old" | "counted already" | "not known yet";

/** The last sheets of a task: who was counted, and which models may still be trained on. */
export class SheetHistory {
  readonly #stalenessMax: number;
  /** By round. */
  readonly #sheets = new Map<number, Sheet>();
  #head: RoundHead;
  #changes = 0;
  #lastCounted: { readonly at: number; readonly trainers: ReadonlySet<PeerId> } | undefined;

  /** @param stalenessMax how many rounds behind a base may be; 0 in synchronous rounds */
  constructor(head: RoundHead, stalenessMax: number) {
    this.#head = head;
    this.#stalenessMax = stalenessMax;
  }

  /** Another number after each change. */
  get version(): number {
    return this.#changes;
  }

  /** The task goes on, or jumps. */
  advance(head: RoundHead): void {
    this.#changes++;
    if (head.round !== this.#head.round + 1) this.#sheets.clear();
    this.#head = head;
    for (const round of this.#sheets.keys()) if (round < this.#oldest()) this.#sheets.delete(round);
  }

  /** Takes a sheet that was fetched by its hash. @returns whether it is one of the last */
  put(sheet: Sheet): boolean {
    if (sheet.round > this.#head.round || sheet.round < this.#oldest()) return false;
    this.#sheets.set(sheet.round, sheet);
    this.#changes++;
    return true;
  }

  /** Takes what was on disk when the last run ended, by its hash. */
  restore(signer: Signer, sheets: ReadonlyMap<string, Uint8Array>): void {
    for (let hash = this.missing(); hash !== undefined; hash = this.missing()) {
      const bytes = sheets.get(hash);
      const sheet = bytes && readSheet(signer, bytes);
      if (sheet === undefined || !this.put(sheet) || this.missing() === hash) return;
    }
  }

  /** The newest one that is not known here; older ones are found through it. Undefined where all are known. */
  missing(): string | undefined {
    return this.#walk().missing;
  }

  /** Hashes of those that are known, newest first, up to the first gap. */
  known(): readonly string[] {
    return this.#walk().known;
  }

  /** Whose updates the newest head is made of; nobody where its sheet is not known. */
  lastCounted(): ReadonlySet<PeerId> {
    if (this.#lastCounted?.at !== this.#changes) {
      const words = this.#sheets.get(this.#head.round)?.words ?? [];
      const trainers = new Set(words.map(({ trainer }) => trainer));
      this.#lastCounted = { at: this.#changes, trainers };
    }
    return this.#lastCounted.trainers;
  }

  /**
   * @returns why a word can not go into the next round; undefined where it can. `not known yet`: a sheet is missing that could tell,
   * which is never so for a word on the head itself
   */
  faultOf(word: TrainerWord): WordFault | undefined {
    const { round, modelHash } = this.#head;
    const { baseRound, baseHash } = word;
    if (baseRound < round - this.#stalenessMax) return "too old";
    if (baseRound > round) return "another base";
    if (baseRound === round) return baseHash === modelHash ? undefined : "another base";
    for (let at = round; at > baseRound; at--) {
      const sheet = this.#sheets.get(at);
      if (sheet === undefined) return "not known yet";
      if (sheet.words.some((each) => isCounted(each, word))) return "counted already";
      // The model of a round is in the sheet of the round after it, as that one's base.
      if (at === baseRound + 1 && sheet.baseHash !== baseHash) return "another base";
    }
    return undefined;
  }

  #walk(): { readonly known: readonly string[]; readonly missing: string | undefined } {
    const known: string[] = [];
    let hash = this.#head.sheetHash;
    for (let round = this.#head.round; round >= this.#oldest(); round--) {
      if (hash === undefined) break;
      const sheet = this.#sheets.get(round);
      if (sheet === undefined) return { known, missing: hash };
      known.push(hash);
      hash = sheet.previousSheetHash;
    }
    return { known, missing: undefined };
  }

  /** In synchronous rounds the last one is of use too: it tells whom to expect. */
  #oldest(): number {
    return Math.max(1, this.#head.round - Math.max(this.#stalenessMax, 1) + 1);
  }
}

/** The same turn of a trainer, or its update under another name. */
function isCounted(one: TrainerWord, other: TrainerWord): boolean {
  return (
    one.updateHash === other.updateHash ||
    (one.trainer === other.trainer && one.baseRound === other.baseRound)
  );
}
