import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import {
  type ModelSpec,
  type Samples,
  type TrainableModel,
  TrainingError,
  type TrainPlan,
} from "../platform/training-backend.ts";
import type {
  RunControl,
  RunnableModel,
  RunOutcome,
  TrainingRunner,
} from "../platform/training-runner.ts";
import { PlainTrainingBackend } from "./plain-training-backend.ts";
import { TrainingPause } from "./training-pause.ts";

/** Steps that are computed at once. */
const SLICE_STEPS = 16;

/** Trains in virtual time, a slice of steps after the other, with the plain backend. */
export class PlainTrainingRunner implements TrainingRunner {
  readonly #backend = new PlainTrainingBackend();
  readonly #clock: Pick<Clock, "setTimer">;
  readonly #sliceMs: number;

  /** @param sliceMs that a slice of steps takes */
  constructor(clock: Pick<Clock, "setTimer">, sliceMs: number) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
  }

  build(spec: ModelSpec, random: Random): Promise<RunnableModel> {
    const model = this.#backend.build(spec, random);
    const wait = (): Promise<void> =>
      new Promise((resolve) => {
        this.#clock.setTimer("training", this.#sliceMs, resolve);
      });
    return Promise.resolve(new PlainRunnableModel(model, wait));
  }

  bytes(): Promise<number> {
    return Promise.resolve(this.#backend.bytes());
  }

  close(): Promise<void> {
    this.#backend.dispose();
    return Promise.resolve();
  }
}

class PlainRunnableModel implements RunnableModel {
  readonly #model: TrainableModel;
  readonly #wait: () => Promise<void>;
  readonly #pause = new TrainingPause();

  constructor(model: TrainableModel, wait: () => Promise<void>) {
    this.#model = model;
    this.#wait = wait;
  }

  get spec() {
    return this.#model.spec;
  }

  get layout() {
    return this.#model.layout;
  }

  get parameterCount() {
    return this.#model.parameterCount;
  }

  read(): Promise<Float32Array> {
    return Promise.resolve(this.#weights());
  }

  async write(weights: Float32Array): Promise<void> {
    await Promise.resolve();
    this.#model.write(weights);
  }

  async train(
    samples: Samples,
    plan: TrainPlan,
    { signal, from, onProgress }: RunControl = {},
  ): Promise<RunOutcome> {
    if (from !== undefined) this.#model.write(from.weights);
    const velocity = (from?.velocity ?? plan.velocity)?.slice();
    const steps = Math.ceil(plan.order.length / plan.batchSize);
    let step = from?.step ?? 0;
    let lossSum = from?.lossSum ?? 0;
    const isStopped = (): boolean => signal?.aborted === true;
    while (step < steps && !isStopped()) {
      const until = Math.min(steps, step + SLICE_STEPS);
      const report = this.#model.train(samples, {
        ...plan,
        order: plan.order.subarray(step * plan.batchSize, until * plan.batchSize),
        ...(velocity !== undefined && { velocity }),
        dropout: {
          seed: plan.dropout?.seed ?? 0,
          firstStep: (plan.dropout?.firstStep ?? 0) + step,
        },
      });
      lossSum += report.loss * report.steps;
      step = until;
      onProgress?.({ step, steps });
      await this.#wait();
      await this.#pause.over();
    }
    const weights = this.#weights();
    const checkpoint = { step, weights, velocity: velocity ?? new Float32Array(0), lossSum };
    return {
      steps: step,
      loss: step === 0 ? 0 : lossSum / step,
      finished: step === steps,
      checkpoint,
    };
  }

  pause(): Promise<void> {
    return this.#pause.pause();
  }

  resume(): Promise<void> {
    return this.#pause.resume();
  }

  checkpoint(): Promise<never> {
    return Promise.reject(new TrainingError("training.model", "nothing is kept on the way here"));
  }

  async evaluate(samples: Samples) {
    await Promise.resolve();
    return this.#model.evaluate(samples);
  }

  async predict(features: Float32Array, count: number) {
    await Promise.resolve();
    return this.#model.predict(features, count);
  }

  dispose(): Promise<void> {
    this.resume().catch(() => undefined);
    this.#model.dispose();
    return Promise.resolve();
  }

  #weights(): Float32Array {
    const weights = new Float32Array(this.#model.parameterCount);
    this.#model.read(weights);
    return weights;
  }
}
