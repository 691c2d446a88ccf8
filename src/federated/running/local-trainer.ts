import type { Random } from "../../platform/random.ts";
import type { Evaluation, Samples } from "../../platform/training-backend.ts";
import type { RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import { ErrorFeedback } from "../compression/error-feedback.ts";
import { shuffle } from "../data/draw.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";

/** What an agent has to learn from, and to be judged by. */
export interface OwnSamples {
  readonly train: Samples;
  /** Kept back; may be empty. */
  readonly test: Samples;
}

/** What training came to. */
export interface TrainedUpdate {
  /** As it travels. */
  readonly bytes: Uint8Array;
  readonly samples: number;
  /** Mean over the steps, each as it was before it. */
  readonly loss: number;
}

/** What a trainer works with. */
export interface LocalTrainerParts {
  readonly spec: TaskSpec;
  readonly runner: TrainingRunner;
  readonly model: RunnableModel;
  readonly random: Random;
  readonly onProgress: (progress: { readonly step: number; readonly steps: number }) => void;
}

/**
 * Trains one task's model on this agent's own samples, in a thread of its own: from the weights that a round begins with, to the
 * update that goes back (McMahan et al. 2017, algorithm 1, ClientUpdate; with `proximalMu` FedProx, Li et al. 2020). What compression
 * leaves out is kept for the next update.
 */
export class LocalTrainer {
  readonly #parts: LocalTrainerParts;
  readonly #feedback: ErrorFeedback | undefined;
  /** To judge and to run models while another is trained. */
  #second: Promise<RunnableModel> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #stop: AbortController | undefined;

  private constructor(parts: LocalTrainerParts) {
    this.#parts = parts;
    const { errorFeedback = false, ...options } = parts.spec.compression ?? {};
    this.#feedback = errorFeedback
      ? new ErrorFeedback(options, parts.random.fork("rounding"))
      : undefined;
  }

  /** @throws TrainingError for a model that can not be built */
  static async open(
    runner: TrainingRunner,
    parts: Omit<LocalTrainerParts, "model" | "runner">,
  ): Promise<LocalTrainer> {
    const model = await runner.build(parts.spec.model, parts.random.fork("weights"));
    return new LocalTrainer({ ...parts, runner, model });
  }

  /**
   * One round. @returns undefined when it was abandoned
   * @throws TrainingError `training.not-finite` when training diverges
   */
  async train(base: Float32Array, { train }: OwnSamples): Promise<TrainedUpdate | undefined> {
    const { spec, model, random, onProgress } = this.#parts;
    if (spec.client.kind !== "local") throw new Error(`no agent trains ${spec.client.kind}`);
    const { epochs, batchSize, learningRate, momentum, weightDecay, clippingNorm, proximalMu } =
      spec.client;
    const stop = new AbortController();
    this.#stop = stop;
    await model.write(base);
    const seed = Math.floor(random.next() * 2 ** 32);
    const stepsOfEpoch = Math.ceil(train.count / batchSize);
    const velocity = momentum > 0 ? new Float32Array(model.parameterCount) : undefined;
    let losses = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const firstStep = epoch * stepsOfEpoch;
      const order = shuffle(
        Int32Array.from({ length: train.count }, (_, at) => at),
        random,
      );
      const outcome = await model.train(
        train,
        {
          order,
          batchSize,
          learningRate,
          momentum,
          weightDecay,
          dropout: { seed, firstStep },
          ...(velocity !== undefined && { velocity }),
          ...(clippingNorm !== undefined && { clippingNorm }),
          ...(proximalMu > 0 && { proximal: { mu: proximalMu, anchor: base } }),
        },
        {
          signal: stop.signal,
          onProgress: ({ step }) =>
            onProgress({ step: firstStep + step, steps: epochs * stepsOfEpoch }),
        },
      );
      if (!outcome.finished) return undefined;
      losses += outcome.loss;
      velocity?.set(outcome.checkpoint.velocity);
    }
    const weights = await model.read();
    if (stop.signal.aborted) return undefined;
    const delta = weights.map((value, at) => value - (base[at] ?? 0));
    return { bytes: this.#packed(delta), samples: train.count, loss: losses / epochs };
  }

  /** No step is taken from then on, until {@link resume}. */
  pause(): Promise<void> {
    return this.#parts.model.pause();
  }

  resume(): Promise<void> {
    return this.#parts.model.resume();
  }

  /** Throws away what is being trained. */
  abandon(): void {
    this.#stop?.abort();
  }

  /** How good weights are on samples. @throws TrainingError */
  evaluate(weights: Float32Array, samples: Samples): Promise<Evaluation> {
    return this.#inTurn(async (model) => {
      await model.write(weights);
      return model.evaluate(samples);
    });
  }

  /** @returns outputs of weights, one after the other @throws TrainingError */
  predict(weights: Float32Array, features: Float32Array, count: number): Promise<Float32Array> {
    return this.#inTurn(async (model) => {
      await model.write(weights);
      return model.predict(features, count);
    });
  }

  async dispose(): Promise<void> {
    this.abandon();
    await this.#parts.model.dispose();
    await (await this.#second)?.dispose();
  }

  /** Nobody's weights get between another's and what is done with them. */
  #inTurn<T>(use: (model: RunnableModel) => Promise<T>): Promise<T> {
    const { runner, spec, random } = this.#parts;
    this.#second ??= runner.build(spec.model, random.fork("second"));
    const second = this.#second;
    const used = this.#turn.then(async () => use(await second));
    this.#turn = used.catch(() => undefined);
    return used;
  }

  #packed(delta: Float32Array): Uint8Array {
    const { compression } = this.#parts.spec;
    if (compression === undefined) return bytesOfWeights(delta);
    if (this.#feedback !== undefined) return this.#feedback.compress(delta).bytes;
    const { errorFeedback: _, ...options } = compression;
    return new ErrorFeedback(options, this.#parts.random).compress(delta).bytes;
  }
}
