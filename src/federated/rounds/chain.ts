import type { PeerId } from "../../platform/signer.ts";
import type { RoundRecord } from "./round-record.ts";
import type { Base } from "./talk.ts";

/** Where a task stands: the model that its last decided round came to, or its first weights. Immutable. */
export interface RoundHead {
  /** 0 before the first. */
  readonly round: number;
  readonly modelHash: string;
  /** Undefined where the strategy remembers nothing, and in round 0. */
  readonly stateHash: string | undefined;
  /** Undefined in round 0. */
  readonly sheetHash: string | undefined;
  /** Who put it together, and has what it is made of; undefined in round 0. */
  readonly aggregator: PeerId | undefined;
  /** Of all rounds until now. */
  readonly samplesTotal: number;
}

/** Why a record does not follow a head. */
export type ChainFault =
  | "another task"
  | "another base"
  | "another sheet before it"
  | "samples do not add up";

/** What came of a decided record. */
export type Taken =
  | { readonly kind: "next" | "jump"; readonly head: RoundHead }
  /** A later one is known, or this very one. */
  | { readonly kind: "old" }
  /** It was decided, and contradicts what was decided before: another committee did. */
  | { readonly kind: "fault"; readonly fault: ChainFault };

/** @returns where a task stands before its first round @param modelHash of the weights drawn from its seed */
export function firstHead(modelHash: string): RoundHead {
  return Object.freeze({
    round: 0,
    modelHash,
    stateHash: undefined,
    sheetHash: undefined,
    aggregator: undefined,
    samplesTotal: 0,
  });
}

/** @returns where a task stands after a record */
export function headOf(record: RoundRecord): RoundHead {
  const { round, modelHash, stateHash, sheetHash, aggregator, samplesTotal } = record;
  return Object.freeze({ round, modelHash, stateHash, sheetHash, aggregator, samplesTotal });
}

/** @returns where a training that begins with that head begins */
export function baseOf({ round, modelHash }: RoundHead): Base {
  return { baseRound: round, baseHash: modelHash };
}

/** @param record of the round after `head` @returns undefined where it follows */
export function faultBehind(head: RoundHead, record: RoundRecord): ChainFault | undefined {
  if (record.baseHash !== head.modelHash) return "another base";
  if (record.previousSheetHash !== head.sheetHash) return "another sheet before it";
  if (record.samplesTotal !== head.samplesTotal + record.samples) return "samples do not add up";
  return undefined;
}

/** The chain of a task's rounds, of which only the end is kept. It takes what a committee has decided, and goes on only. */
export class RoundChain {
  readonly #task: string;
  #head: RoundHead;

  /** @param task 32 hexadecimal digits */
  constructor(task: string, head: RoundHead) {
    this.#task = task;
    this.#head = head;
  }

  get head(): RoundHead {
    return this.#head;
  }

  /**
   * Takes a record that a committee has decided. One that is more than a round ahead is a jump: this agent was away, and relies on the
   * committee for what was between.
   */
  take(record: RoundRecord): Taken {
    if (record.task !== this.#task) return { kind: "fault", fault: "another task" };
    const ahead = record.round - this.#head.round;
    if (ahead < 1) return { kind: "old" };
    const fault = ahead === 1 ? faultBehind(this.#head, record) : undefined;
    if (fault !== undefined) return { kind: "fault", fault };
    return this.replace(record);
  }

  /** Goes by that record, whatever was before: the caller has found that its committee counts. Never back. */
  replace(record: RoundRecord): Taken {
    if (record.round <= this.#head.round) return { kind: "old" };
    const kind = record.round === this.#head.round + 1 ? "next" : "jump";
    this.#head = headOf(record);
    return { kind, head: this.#head };
  }
}
