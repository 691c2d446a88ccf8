import type { Random } from "../../platform/random.ts";
import type { ModelSpec, ParameterInfo, Samples } from "../../platform/training-backend.ts";
import type { RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";
import { shuffled } from "../data/draw.ts";
import { clearNormalization, packNormalization, unpackNormalization } from "./fed-bn.ts";
import type { FollowingModel, OwnState } from "./following-model.ts";
import type { PersonalOptions } from "./personal-options.ts";

/** What an own model is trained with. */
export interface OwnModelParts {
  readonly options: PersonalOptions;
  readonly spec: ModelSpec;
  readonly layout: readonly ParameterInfo[];
  readonly runner: TrainingRunner;
  readonly random: Random;
}

/** How one is trained where it is trained beside the global model. */
type BesideOptions = Exclude<PersonalOptions, { kind: "fed-bn" }>;

/**
 * The model that an agent keeps for itself. With `fine-tune` and `per-fed-avg` each new global model is trained on here; with `ditto`
 * (Li, Hu, Beirami and Smith 2021, algorithm 1) one model goes on beside it, pulled towards it; with `fed-bn` (Li, Jiang, Zhang, Kamp and
 * Dou 2021) it is the global one with this agent's normalisation. It is never sent.
 */
export class OwnModel implements FollowingModel {
  readonly options: PersonalOptions;
  readonly #parts: OwnModelParts;
  readonly #stop = new AbortController();
  #state: OwnState | undefined;
  #model: Promise<RunnableModel> | undefined;
  #isPaused = false;

  constructor(parts: OwnModelParts) {
    this.#parts = parts;
    this.options = parts.options;
  }

  get answersBy(): "own" | "global" {
    return this.options.predict;
  }

  get state(): OwnState | undefined {
    return this.#state;
  }

  restore(state: OwnState): boolean {
    const { layout } = this.#parts;
    const { offset = 0, size = 0 } = layout.at(-1) ?? {};
    const fits =
      this.options.kind === "fed-bn"
        ? unpackNormalization(layout, new Float32Array(offset + size), state.values) !== undefined
        : state.values.length === offset + size;
    if (fits && state.values.every(Number.isFinite)) this.#state = state;
    return this.#state === state;
  }

  /** @returns the weights with which this agent begins a round: its own normalisation is in them */
  begin(global: Float32Array): Float32Array {
    return this.options.kind === "fed-bn" ? (this.weights(global) ?? global) : global;
  }

  /**
   * A round was trained here. What stays here is kept, and taken out of the update.
   * @param weights after training @param update written to
   */
  trained(weights: Float32Array, update: Float32Array): void {
    if (this.options.kind !== "fed-bn") return;
    const { layout } = this.#parts;
    // It goes with the model of any round.
    this.#state = { round: 0, values: packNormalization(layout, weights) };
    clearNormalization(layout, update);
  }

  weights(global: Float32Array): Float32Array | undefined {
    const values = this.#state?.values;
    if (values === undefined) return undefined;
    return this.options.kind === "fed-bn"
      ? unpackNormalization(this.#parts.layout, global, values)
      : values;
  }

  /** Trains it on, after a new global model came. */
  async follow(round: number, global: Float32Array, train: Samples): Promise<boolean> {
    const { options } = this;
    if (options.kind === "fed-bn") return this.#state !== undefined;
    const { runner, spec, random } = this.#parts;
    this.#model ??= runner.build(spec, random.fork("own"));
    const model = await this.#model;
    if (this.#isPaused) await model.pause();
    await model.write(options.kind === "ditto" ? (this.#state?.values ?? global) : global);
    const steps = Math.ceil(train.count / options.batchSize);
    const seed = Math.floor(random.next() * 2 ** 32);
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const order = shuffled(train.count, random);
      const plan = {
        ...planOf(options, global),
        order,
        dropout: { seed, firstStep: epoch * steps },
      };
      const { finished } = await model.train(train, plan, { signal: this.#stop.signal });
      if (!finished) return false;
    }
    this.#state = { round, values: await model.read() };
    return true;
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await (await this.#model)?.pause();
  }

  async resume(): Promise<void> {
    this.#isPaused = false;
    await (await this.#model)?.resume();
  }

  abandon(): void {
    this.#stop.abort();
  }

  async dispose(): Promise<void> {
    this.abandon();
    await (await this.#model)?.dispose();
  }
}

function planOf(options: BesideOptions, anchor: Float32Array) {
  const { batchSize, learningRate } = options;
  // What per-fed-avg prepares for is a step of the inner learning rate.
  if (options.kind === "per-fed-avg") return { batchSize, learningRate: options.innerLearningRate };
  const isHeld = options.kind === "ditto" && options.lambda > 0;
  return {
    batchSize,
    learningRate,
    ...(isHeld && { proximal: { mu: options.lambda, anchor } }),
  };
}
