import type { Random } from "../../platform/random.ts";
import type { Evaluation, Samples } from "../../platform/training-backend.ts";
import type { RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";
import { ClientVariate } from "../clients/client-variate.ts";
import { packExactly } from "../combining/exact-packing.ts";
import { withVariate } from "../combining/variates.ts";
import { ErrorFeedback } from "../compression/error-feedback.ts";
import { shuffle } from "../data/draw.ts";
import { metaSteps } from "../personalization/meta-steps.ts";
import { OwnModel } from "../personalization/own-model.ts";
import { minus } from "../strategies/minus.ts";
import { isCorrected, type TaskSpec } from "../tasks/task-spec.ts";

/** What an agent has to learn from, and to be judged by. */
export interface OwnSamples {
  readonly train: Samples;
  /** Kept back; may be empty. */
  readonly test: Samples;
  /** Brings both up to date before a round is trained. @throws DataError, TrainingError where they can not be used any more */
  readonly refresh?: () => Promise<void>;
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
  /** Beside the global one, where the task wants it. */
  readonly own: OwnModel | undefined;
  readonly #feedback: ErrorFeedback | undefined;
  readonly #variate: ClientVariate | undefined;
  /** To judge and to run models while another is trained. */
  #second: Promise<RunnableModel> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #stop: AbortController | undefined;
  /** What it has come to alone since it was cut off. */
  #alone: Float32Array | undefined;

  private constructor(parts: LocalTrainerParts) {
    this.#parts = parts;
    const { spec, model, runner, random } = parts;
    this.own =
      spec.personalization &&
      new OwnModel({
        options: spec.personalization,
        spec: spec.model,
        layout: model.layout,
        runner,
        random: random.fork("own"),
      });
    this.#variate = isCorrected(spec) ? new ClientVariate() : undefined;
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
   * @param agreed what gradients are corrected by, where the task wants that: the variate of all; absent before there is any
   * @throws TrainingError `training.not-finite` when training diverges
   * @throws DataError where samples can not be had any more
   */
  async train(
    base: Float32Array,
    samples: OwnSamples,
    agreed?: Float32Array,
  ): Promise<TrainedUpdate | undefined> {
    const stop = new AbortController();
    this.#stop = stop;
    await samples.refresh?.();
    const { train } = samples;
    const start = this.own?.begin(base) ?? base;
    const correcting = this.#variate && {
      variate: this.#variate,
      agreed: agreed ?? new Float32Array(base.length),
    };
    const trained =
      this.own?.options.kind === "per-fed-avg"
        ? await this.#metaTrain(start, train, this.own.options.innerLearningRate, stop.signal)
        : await this.#train(start, train, stop.signal, {
            ...(this.#alone !== undefined && { from: this.#alone }),
            ...(correcting && { correction: correcting.variate.correction(correcting.agreed) }),
          });
    if (trained === undefined || stop.signal.aborted) return undefined;
    this.#alone = undefined;
    const { weights: after, loss } = trained;
    const delta = minus(after, start);
    this.own?.trained(after, delta);
    const variate = correcting?.variate.trained({
      agreed: correcting.agreed,
      before: start,
      after,
      steps: this.#stepsOf(train),
      learningRate: this.#client.learningRate,
    });
    const bytes = this.#packed(variate === undefined ? delta : withVariate(delta, variate));
    return { bytes, samples: train.count, loss };
  }

  /**
   * Trains on from where it has come to alone, or else from a head of which no round comes: the next update is how far that is from its own
   * base. Models of which a part stays at each agent are left as they are, and so are those whose gradients are corrected by what all see.
   * @returns false when it was abandoned @throws TrainingError, DataError as {@link train}
   */
  async trainAlone(base: Float32Array, samples: OwnSamples): Promise<boolean> {
    if (this.own !== undefined || this.#variate !== undefined) return true;
    const stop = new AbortController();
    this.#stop = stop;
    await samples.refresh?.();
    const trained = await this.#train(base, samples.train, stop.signal, {
      ...(this.#alone !== undefined && { from: this.#alone }),
    });
    if (trained === undefined || stop.signal.aborted) return false;
    this.#alone = trained.weights;
    return true;
  }

  /** @param how `from`: where it begins, where that is not the model that it is measured against */
  async #train(
    start: Float32Array,
    train: Samples,
    signal: AbortSignal,
    how: { readonly from?: Float32Array; readonly correction?: Float32Array },
  ) {
    const { from = start, correction } = how;
    const { model, random, onProgress } = this.#parts;
    const { epochs, batchSize, learningRate, momentum, weightDecay, clippingNorm, proximalMu } =
      this.#client;
    await model.write(from);
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
          ...(proximalMu > 0 && { proximal: { mu: proximalMu, anchor: start } }),
          ...(correction !== undefined && { correction }),
        },
        {
          signal,
          onProgress: ({ step }) =>
            onProgress({ step: firstStep + step, steps: epochs * stepsOfEpoch }),
        },
      );
      if (!outcome.finished) return undefined;
      losses += outcome.loss;
      velocity?.set(outcome.checkpoint.velocity);
    }
    return { weights: await model.read(), loss: losses / epochs };
  }

  /** As many steps as {@link #train} takes. */
  #metaTrain(
    start: Float32Array,
    train: Samples,
    innerLearningRate: number,
    signal: AbortSignal,
  ): ReturnType<typeof metaSteps> {
    const { model, random, onProgress } = this.#parts;
    const { batchSize, learningRate } = this.#client;
    const steps = this.#stepsOf(train);
    const plan = { steps, batchSize, innerLearningRate, learningRate };
    return metaSteps(model, train, plan, start, random, { signal, onProgress });
  }

  /** That a round takes. */
  #stepsOf(train: Samples): number {
    const { epochs, batchSize } = this.#client;
    return epochs * Math.ceil(train.count / batchSize);
  }

  get #client() {
    const { client } = this.#parts.spec;
    if (client.kind !== "local") throw new Error(`no agent trains ${client.kind}`);
    return client;
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
    await this.own?.dispose();
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
    if (compression === undefined) return packExactly(delta);
    if (this.#feedback !== undefined) return this.#feedback.compress(delta).bytes;
    const { errorFeedback: _, ...options } = compression;
    return new ErrorFeedback(options, this.#parts.random).compress(delta).bytes;
  }
}
