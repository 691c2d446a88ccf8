import type { Random } from "../../platform/random.ts";
import type { ParameterInfo } from "../../platform/training-backend.ts";
import type { VectorMath } from "../../platform/vector-math.ts";
import { decompress } from "../compression/codec.ts";
import { CompressionError } from "../compression/compression-error.ts";
import { clearNormalization } from "../personalization/fed-bn.ts";
import { AggregationError, type Contribution } from "../strategies/aggregation.ts";
import type { CustomRules } from "../strategies/custom-rules.ts";
import { StrategyRegistry } from "../strategies/registry.ts";
import type { Strategy, StrategyState, StrategyStep } from "../strategies/strategy.ts";
import { decodeState, encodeState } from "../strategies/strategy-state.ts";
import { unpackExactly } from "./exact-packing.ts";
import { letGo } from "./let-go.ts";
import { partContributions, rememberVariate, withoutVariate } from "./variates.ts";
import { bytesOfWeights, weightsOfBytes } from "./weights-codec.ts";

/** One update of a round, as it travelled. */
export interface CombineUpdate {
  /** Unique within the round. */
  readonly sender: string;
  readonly bytes: Uint8Array;
  /** How much it counts with rules that weigh. */
  readonly weight: number;
  /** Mean loss of the model it began with. */
  readonly loss: number;
}

/** Everything that a round's model follows from. Whoever has the same gets the same bits. */
export interface CombineJob {
  /** As the manifest has it. */
  readonly strategy: unknown;
  readonly parameterCount: number;
  /** Whether updates are compressed; they are float32 otherwise, plain or packed exactly. */
  readonly compressed: boolean;
  /** Whether updates carry SCAFFOLD's variates behind the change of the model. */
  readonly variates?: boolean;
  /** Parts of the model that stay at each agent: what updates say of them does not count. */
  readonly kept?: readonly ParameterInfo[];
  /** The model that the round begins with. */
  readonly base: Uint8Array;
  /** What the strategy remembers from the round before; absent where it remembers nothing. */
  readonly state?: Uint8Array;
  readonly updates: readonly CombineUpdate[];
}

/** What came of it. */
export type Combined =
  | {
      readonly kind: "combined";
      readonly model: Uint8Array;
      /** Absent where the strategy remembers nothing. */
      readonly state?: Uint8Array;
    }
  /** The round can be combined without this sender's update. */
  | { readonly kind: "blamed"; readonly sender: string; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

/** What an update is before it is put together with others; `empty` changes nothing. */
export type Inspected = "good" | "empty" | "malformed";

/** The form of a task's updates. */
export type UpdateForm = Pick<CombineJob, "parameterCount" | "compressed" | "variates">;

/**
 * Makes the next model of a round's updates. Synchronous and long for large models.
 * @param tools `random`: that all who recompute the round share; `rules`: of programs, where the strategy names one
 */
export function combine(
  job: CombineJob,
  tools: { readonly math: VectorMath; readonly random: Random; readonly rules?: CustomRules },
): Combined {
  const { rules, ...context } = tools;
  const { parameterCount, base, state, updates } = job;
  try {
    const strategy = new StrategyRegistry(rules).strategy(job.strategy);
    const model = weightsOfBytes(base, parameterCount);
    if (model === undefined) return failed("the base is no model of this task");
    const contributions: Contribution[] = [];
    for (const update of updates) {
      const values = valuesOf(update.bytes, job);
      if (typeof values === "string")
        return { kind: "blamed", sender: update.sender, reason: values };
      if (job.kept !== undefined) clearNormalization(job.kept, values);
      contributions.push({
        sender: update.sender,
        values,
        weight: update.weight,
        loss: update.loss,
      });
    }
    const before: StrategyState =
      state === undefined ? strategy.begin(parameterCount) : decodeState(state, parameterCount);
    const { model: next, state: after } =
      job.variates === true
        ? stepWithVariates(strategy, model, contributions, before, context)
        : strategy.step(model, contributions, before, context);
    const remembers = after.previous !== undefined || Object.keys(after.moments).length > 0;
    const combined: Combined = {
      kind: "combined",
      model: bytesOfWeights(next),
      ...(remembers && { state: encodeState(after) }),
    };
    // A program's own rule may have kept them.
    if (rules === undefined) for (const { values } of contributions) letGo(values);
    return combined;
  } catch (error) {
    if (!(error instanceof AggregationError)) throw error;
    const { sender, message } = error;
    return sender === undefined ? failed(message) : { kind: "blamed", sender, reason: message };
  }
}

/** One round of SCAFFOLD: the model moves by the changes, and what the agents agree on is made anew. */
function stepWithVariates(
  strategy: Strategy,
  model: Float32Array,
  contributions: readonly Contribution[],
  state: StrategyState,
  context: { readonly math: VectorMath; readonly random: Random },
): Pick<StrategyStep, "model" | "state"> {
  const { length } = model;
  const { changes, variates } = partContributions(contributions, length);
  const stepped = strategy.step(model, changes, withoutVariate(state), context);
  const agreed = strategy.combine(variates, { ...context, length });
  return { model: stepped.model, state: rememberVariate(stepped.state, agreed) };
}

/** Looks at an update, which for a large one takes as long as to read all of it. Never throws. */
export function inspect(bytes: Uint8Array, form: UpdateForm): Inspected {
  const values = valuesOf(bytes, form);
  if (typeof values === "string") return "malformed";
  const is = lookedAt(values);
  letGo(values);
  return is;
}

/** Where a model has come to rest, updates may be no more than the variate that keeps it there: that is work as well. */
function lookedAt(values: Float32Array): Inspected {
  let isEmpty = true;
  for (const value of values) {
    // NaN and infinities.
    if (value - value !== 0) return "malformed";
    if (value !== 0) isEmpty = false;
  }
  return isEmpty ? "empty" : "good";
}

/** @returns in words why it is no update of this model */
function valuesOf(
  bytes: Uint8Array,
  { parameterCount, compressed, variates = false }: UpdateForm,
): Float32Array | string {
  const length = variates ? 2 * parameterCount : parameterCount;
  if (!compressed)
    return (
      unpackExactly(bytes, length) ?? `${bytes.length} bytes are no update of ${length} values`
    );
  try {
    return decompress(bytes, length);
  } catch (error) {
    if (error instanceof CompressionError) return error.message;
    throw error;
  }
}

function failed(reason: string): Combined {
  return { kind: "failed", reason };
}
