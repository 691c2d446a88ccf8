import type { Combined, Inspected } from "../combining/combine.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { Counted } from "../rounds/step.ts";
import { isCorrected } from "../tasks/task-spec.ts";
import type { RoundParts } from "./round-parts.ts";
import type { RoundTensors } from "./round-tensors.ts";

/** This agent has not what it takes: nobody's fault. */
interface Lacking {
  readonly kind: "lacking";
  readonly reason: string;
  /** Of an update that is gone. */
  readonly hash?: string;
}

type CombiningParts = Pick<
  RoundParts,
  "task" | "spec" | "shelf" | "combine" | "inspect" | "opening" | "parameterCount"
>;

/** Puts the updates of one task's rounds together, for the aggregator and for the judge alike. */
export class RoundCombining {
  readonly #parts: CombiningParts;
  readonly #tensors: RoundTensors;

  constructor(parts: CombiningParts, tensors: RoundTensors) {
    this.#parts = parts;
    this.#tensors = tensors;
  }

  /** On the model and the strategy's state of that head. */
  async combine(head: RoundHead, counted: readonly Counted[]): Promise<Combined | Lacking> {
    const { task, spec, shelf, combine } = this.#parts;
    const base = await this.#tensors.model(head.modelHash, head.aggregator);
    if (base === undefined) return lacking("the model that the round begins with can not be had");
    const state =
      head.stateHash === undefined
        ? undefined
        : await this.#tensors.state(head.stateHash, head.aggregator);
    if (head.stateHash !== undefined && state === undefined)
      return lacking("what the strategy remembers can not be had");
    const updates = [];
    for (const { peer, updateHash, weight, loss } of counted) {
      const bytes = await shelf.get(updateHash);
      if (bytes === undefined) return lacking(`the update of ${peer} is gone`, updateHash);
      updates.push({ sender: peer, bytes, weight, loss });
    }
    const strategy = spec.strategy ?? {};
    // Everybody knows it, and nobody before the round began.
    const seed = `${task}/${head.round}/${head.modelHash}`;
    return combine({ ...this.#form(), strategy, base, updates, ...(state && { state }) }, seed);
  }

  /** Puts on the shelf what came of it. @returns their hashes */
  shelved({ model, state }: Extract<Combined, { kind: "combined" }>): {
    readonly modelHash: string;
    readonly stateHash: string | undefined;
  } {
    const { shelf } = this.#parts;
    return {
      modelHash: shelf.put(model),
      stateHash: state === undefined ? undefined : shelf.put(state),
    };
  }

  /** What an update is that is to be counted in the round behind that one. @throws TrainingError where the thread has ended */
  async inspect(bytes: Uint8Array, headRound: number): Promise<Inspected> {
    const { opening, inspect } = this.#parts;
    return opening !== undefined && headRound === 0
      ? opening.inspect(bytes)
      : inspect(bytes, this.#form());
  }

  #form() {
    const { spec, parameterCount } = this.#parts;
    return {
      parameterCount,
      compressed: spec.compression !== undefined,
      ...(isCorrected(spec) && { variates: true }),
    };
  }
}

function lacking(reason: string, hash?: string): Lacking {
  return { kind: "lacking", reason, ...(hash !== undefined && { hash }) };
}
