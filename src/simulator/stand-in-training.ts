import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import {
  type Evaluation,
  type ModelSpec,
  type Samples,
  TrainingError,
} from "../platform/training-backend.ts";
import { layOut } from "../platform/training-layout.ts";
import type {
  RunControl,
  RunnableModel,
  RunOutcome,
  TrainingRunner,
} from "../platform/training-runner.ts";
import { TrainingPause } from "./training-pause.ts";

/** Largest step of a weight. */
const STEP = 0.01;

/** Stands where a model would be trained: takes its time, and moves the weights by chance alone. Costs next to nothing. */
export class StandInTraining implements TrainingRunner {
  readonly #clock: Pick<Clock, "setTimer">;
  readonly #trainMs: number;

  /** @param trainMs that a run takes, of virtual time; between this and twice as much */
  constructor(clock: Pick<Clock, "setTimer">, trainMs: number) {
    this.#clock = clock;
    this.#trainMs = trainMs;
  }

  build(spec: ModelSpec, random: Random): Promise<RunnableModel> {
    const wait = (): Promise<void> =>
      new Promise((resolve) => {
        this.#clock.setTimer("training", this.#trainMs * (1 + random.next()), resolve);
      });
    return Promise.resolve(new StandInModel(spec, random, wait));
  }

  bytes(): Promise<number> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class StandInModel implements RunnableModel {
  readonly spec: ModelSpec;
  readonly parameterCount: number;
  readonly #random: Random;
  readonly #wait: () => Promise<void>;
  #weights: Float32Array;
  readonly #pause = new TrainingPause();

  constructor(spec: ModelSpec, random: Random, wait: () => Promise<void>) {
    this.spec = spec;
    this.parameterCount = layOut(spec).parameterCount;
    this.#random = random;
    this.#wait = wait;
    this.#weights = new Float32Array(0);
  }

  get layout() {
    return layOut(this.spec).parameters;
  }

  read(): Promise<Float32Array> {
    return Promise.resolve(this.#weights);
  }

  write(weights: Float32Array): Promise<void> {
    this.#weights = weights;
    return Promise.resolve();
  }

  async train(
    samples: Samples,
    plan: { batchSize: number },
    control: RunControl = {},
  ): Promise<RunOutcome> {
    const isStopped = (): boolean => control.signal?.aborted === true;
    await this.#wait();
    await this.#pause.over();
    const steps = Math.ceil(samples.count / plan.batchSize);
    if (!isStopped()) {
      this.#weights = this.#weights.map((value) => value + STEP * (this.#random.next() - 0.5));
      control.onProgress?.({ step: steps, steps });
    }
    const checkpoint = {
      step: steps,
      weights: this.#weights,
      velocity: new Float32Array(0),
      lossSum: steps,
    };
    return { steps, loss: 1, finished: !isStopped(), checkpoint };
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

  evaluate({ count }: Samples): Promise<Evaluation> {
    return Promise.resolve({ count, loss: 1 });
  }

  predict(): Promise<never> {
    return Promise.reject(new TrainingError("training.model", "a stand-in predicts nothing"));
  }

  dispose(): Promise<void> {
    return this.resume();
  }
}
