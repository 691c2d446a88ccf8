import {
  faultBehind,
  firstHead,
  headOf,
  type RoundHead,
} from "../../../src/federated/rounds/chain.ts";
import { type RoundPace, stalenessOf } from "../../../src/federated/rounds/options.ts";
import { readRecord } from "../../../src/federated/rounds/round-record.ts";
import { readSheet } from "../../../src/federated/rounds/sheet.ts";
import { countedOf } from "../../../src/federated/rounds/step.ts";
import type { TrainerWord } from "../../../src/federated/rounds/trainer-word.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import { putTogether } from "./toy-model.ts";

/** Something that must never happen did. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Sees everything, and holds it against what the rounds promise. */
export class Ledger {
  /** Decided values by round, from 1. */
  readonly values: Uint8Array[] = [];
  readonly heads: RoundHead[] = [];
  counted = 0;
  readonly #signer: Signer;
  readonly #pace: RoundPace;
  readonly #contents: ReadonlyMap<string, string | Uint8Array>;
  readonly #countedTurns = new Set<string>();
  readonly #signed = new Map<string, string>();

  constructor(
    signer: Signer,
    pace: RoundPace,
    contents: ReadonlyMap<string, string | Uint8Array>,
    modelHash: string,
  ) {
    this.#signer = signer;
    this.#pace = pace;
    this.#contents = contents;
    this.heads.push(firstHead(modelHash));
  }

  get head(): RoundHead {
    return this.heads[this.heads.length - 1]!;
  }

  /** The committee has decided. @throws Violation */
  accepted(value: Uint8Array): void {
    const { head } = this;
    const record = readRecord(this.#signer, value);
    if (typeof record === "string") throw new Violation(`a ${record} record was accepted`);
    const { round } = record;
    if (round !== head.round + 1)
      throw new Violation(`round ${round} was decided behind ${head.round}`);
    const fault = faultBehind(head, record);
    if (fault !== undefined) throw new Violation(`round ${round} has ${fault}`);
    const bytes = this.#contents.get(record.sheetHash);
    const sheet = bytes instanceof Uint8Array ? readSheet(this.#signer, bytes) : undefined;
    if (sheet === undefined) throw new Violation(`round ${round} has no sheet`);
    const { words } = sheet;
    const { agentsMin, agentsMax } = this.#pace;
    if (words.length < agentsMin || words.length > agentsMax)
      throw new Violation(`round ${round} has ${words.length} updates`);
    for (const word of words) this.#count(word, round);
    const samples = words.reduce((sum, word) => sum + word.samples, 0);
    if (record.samplesTotal !== head.samplesTotal + samples)
      throw new Violation(`round ${round} has a wrong number of samples`);
    const counted = countedOf(words, round).map((each) => ({
      ...each,
      update: this.#text(each.updateHash),
    }));
    const model = putTogether(this.#text(head.modelHash), round, counted);
    if (this.#text(record.modelHash) !== model)
      throw new Violation(`round ${round} came to another model than its updates make`);
    this.values.push(value);
    this.heads.push(headOf(record));
  }

  /** An honest trainer says so. @throws Violation */
  said(word: TrainerWord): void {
    const { trainer, baseRound, baseHash, edition, signed } = word;
    const key = `${trainer}/${baseRound}/${baseHash}/${edition}`;
    const text = Buffer.from(signed.word).toString("hex");
    const before = this.#signed.get(key) ?? text;
    this.#signed.set(key, text);
    if (before !== text) throw new Violation(`an honest trainer said two things on ${baseRound}`);
  }

  #count(word: TrainerWord, round: number): void {
    const { trainer, baseRound, baseHash, updateHash } = word;
    if (baseRound < round - 1 - stalenessOf(this.#pace))
      throw new Violation(`round ${round} has an update of round ${baseRound}`);
    if (this.heads[baseRound]?.modelHash !== baseHash)
      throw new Violation(`round ${round} has an update of another model`);
    for (const turn of [`${trainer}/${baseRound}`, updateHash]) {
      if (this.#countedTurns.has(turn))
        throw new Violation(`an update was counted twice, in round ${round} again`);
      this.#countedTurns.add(turn);
    }
    this.counted++;
  }

  #text(hash: string): string {
    const content = this.#contents.get(hash);
    if (typeof content !== "string") throw new Violation("an update or a model does not exist");
    return content;
  }
}
