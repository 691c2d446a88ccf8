import { combine } from "../../federated/combining/combine.ts";
import { firstHead, headOf, type RoundHead } from "../../federated/rounds/chain.ts";
import { type RoundRecord, readRecord } from "../../federated/rounds/round-record.ts";
import { readSheet, type Sheet } from "../../federated/rounds/sheet.ts";
import { weightOf } from "../../federated/rounds/trainer-word.ts";
import { PlainVectorMath } from "../../federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import type { Signer } from "../../platform/signer.ts";
import type { LearningWorld } from "../learning-world.ts";

/** A round that was decided, and whose it is. */
export interface AuditedRound {
  readonly record: RoundRecord;
  /** Of the committee that decided it. */
  readonly group: string;
  readonly sheet: Sheet | undefined;
}

/** What an audit works with. */
export interface RoundAuditParts {
  readonly world: LearningWorld;
  /** To check signatures with; it signs nothing. */
  readonly signer: Signer;
  /** Hears of a broken promise. */
  readonly broken: (promise: string, what: string) => void;
}

/**
 * Goes over every round that a committee has decided, whoever was there: one for each number, of updates that were never counted before,
 * on the round before it, with sums that add up, and with the very model that comes of them.
 */
export class RoundAudit {
  readonly #parts: RoundAuditParts;
  /** By task and model. */
  readonly #rounds = new Map<string, AuditedRound>();
  /** By committee, task and round: its model. */
  readonly #decided = new Map<string, string>();
  readonly #math = new PlainVectorMath();
  /** Rounds whose round before was not seen yet. */
  readonly #early = new Map<string, { group: string; record: RoundRecord }>();
  #updates = 0;

  constructor(parts: RoundAuditParts) {
    this.#parts = parts;
  }

  /** Rounds of all tasks. */
  get rounds(): number {
    return this.#rounds.size;
  }

  /** That were counted in them. */
  get updates(): number {
    return this.#updates;
  }

  /** Whether a committee has decided that model. */
  knows(task: string, round: number, modelHash: string): boolean {
    return this.#rounds.get(`${task}/${modelHash}`)?.record.round === round;
  }

  /** Rounds that hang in the air. */
  early(): readonly RoundRecord[] {
    return Array.from(this.#early.values(), ({ record }) => record);
  }

  /** A member shows what its committee accepted. */
  decided(group: string, value: Uint8Array): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") return this.#parts.broken("aggregate", `a record is ${record}`);
    const name = `${group}/${record.task}/${record.round}`;
    const before = this.#decided.get(name);
    if (before !== undefined && before !== record.modelHash)
      this.#parts.broken("one-aggregate", `round ${record.round} has two models in one committee`);
    if (before !== undefined) return;
    this.#decided.set(name, record.modelHash);
    this.#early.set(name, { group, record });
    for (let went = true; went; ) {
      went = false;
      for (const [each, { group: by, record: next }] of this.#early) {
        const parent = this.#headBefore(next);
        if (parent === undefined) continue;
        this.#early.delete(each);
        this.#audit(by, next, parent);
        went = true;
      }
    }
  }

  #headBefore({ task, round, baseHash }: RoundRecord): RoundHead | undefined {
    if (round === 1) return firstHead(this.#parts.world.firstModelHash);
    const before = this.#rounds.get(`${task}/${baseHash}`);
    return before && headOf(before.record);
  }

  #audit(group: string, record: RoundRecord, head: RoundHead): void {
    const { world, signer } = this.#parts;
    const broken = (promise: string, what: string): void =>
      this.#parts.broken(promise, `round ${record.round} of ${record.aggregator}: ${what}`);
    const bytes = world.witness.bytes(record.sheetHash);
    const sheet = bytes && readSheet(signer, bytes);
    this.#rounds.set(`${record.task}/${record.modelHash}`, { record, group, sheet });
    if (record.round !== head.round + 1)
      broken("one-aggregate", `it is built on round ${head.round}`);
    const { agentsMin, agentsMax } = world.spec.pace;
    if (record.updates < agentsMin || record.updates > agentsMax)
      broken("agents", `${record.updates} updates, where ${agentsMin} to ${agentsMax} are wanted`);
    // Not by the agents' own check, which may be what is wrong.
    if (record.previousSheetHash !== head.sheetHash)
      broken("one-aggregate", "it is built on another sheet than that of the round before");
    const samplesTotal = head.samplesTotal + record.samples;
    if (record.samplesTotal !== samplesTotal)
      broken("samples-add-up", `${record.samplesTotal} samples in all, not ${samplesTotal}`);
    if (sheet === undefined) return broken("aggregate", "nobody ever made its sheet");
    this.#updates += sheet.words.length;
    this.#count(record, sheet, broken);
    const samples = sheet.words.reduce((sum, word) => sum + word.samples, 0);
    if (samples !== record.samples || sheet.words.length !== record.updates)
      broken("samples-add-up", `it says ${record.samples} samples, its sheet ${samples}`);
    const why = this.#recompute(record, sheet, head);
    if (why !== undefined) broken("aggregate", why);
  }

  /** No update may be in two rounds of one chain, nor two of one trainer on one base. */
  #count(record: RoundRecord, sheet: Sheet, broken: (promise: string, what: string) => void): void {
    const { pace } = this.#parts.world.spec;
    const stalenessMax = pace.buffered?.stalenessMax ?? 0;
    const isSame = new Set(
      sheet.words.flatMap(({ updateHash, trainer, baseRound }) => [
        updateHash,
        `${trainer}/${baseRound}`,
      ]),
    );
    for (const { baseRound, trainer } of sheet.words)
      if (baseRound >= record.round || baseRound < record.round - 1 - stalenessMax)
        broken("counted-once", `an update of ${trainer} on round ${baseRound} is counted`);
    for (let at = this.#rounds.get(`${record.task}/${record.baseHash}`); at !== undefined; ) {
      for (const { updateHash, trainer, baseRound } of at.sheet?.words ?? [])
        if (isSame.has(updateHash) || isSame.has(`${trainer}/${baseRound}`))
          broken("counted-once", `an update of ${trainer} was counted in round ${at.record.round}`);
      at = this.#rounds.get(`${at.record.task}/${at.record.baseHash}`);
    }
  }

  #recompute(record: RoundRecord, sheet: Sheet, head: RoundHead): string | undefined {
    const { world } = this.#parts;
    const base = world.witness.bytes(head.modelHash);
    if (base === undefined) return "nobody ever had the model that it begins with";
    const updates = [];
    for (const word of sheet.words) {
      const update = world.witness.bytes(word.updateHash);
      if (update === undefined) return `nobody ever had the update of ${word.trainer}`;
      updates.push({
        sender: word.trainer,
        bytes: update,
        weight: weightOf(word, record.round),
        loss: word.loss,
      });
    }
    const { spec, parameterCount } = world;
    const random = new SeededRandom(`${record.task}/${head.round}/${head.modelHash}`);
    const made = combine(
      { strategy: spec.strategy ?? {}, parameterCount, compressed: false, base, updates },
      { math: this.#math, random },
    );
    if (made.kind !== "combined") return `its updates can not be put together: ${made.reason}`;
    const right = world.witness.bytes(record.modelHash);
    if (right === undefined) return "nobody ever had its model";
    return Buffer.compare(right, made.model) === 0
      ? undefined
      : "another model comes of its updates";
  }
}
