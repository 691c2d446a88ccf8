import type { Evaluation, ModelSpec, Samples } from "../../platform/training-backend.ts";
import type { TrainingRunner } from "../../platform/training-runner.ts";
import { TaughtModel, type TransferSet } from "../distillation/taught-model.ts";
import { networkOf, type TaskTeaching } from "../distillation/teaching-options.ts";
import { minus } from "../strategies/minus.ts";
import { localClient, localSteps } from "./local-steps.ts";
import { SideModel } from "./side-model.ts";
import type { OwnSamples, TaskTrainer, TrainedUpdate, TrainerParts } from "./task-trainer.ts";
import { UpdatePacker } from "./update-packer.ts";

/** What a trainer of a task whose agents teach each other works with. */
export interface TeachingTrainerParts extends TrainerParts {
  readonly teaching: TaskTeaching;
  /** The network of this agent, by its name. */
  readonly network: string;
  readonly transfer: TransferSet;
}

/**
 * Trains a task whose agents agree on answers, not on weights: the model of this agent learns from what was agreed on last, trains on own
 * samples, and answers. An update is how far its answers are from those that were agreed on, so that strategies and compression work on it
 * as on weights.
 */
export class TeachingTrainer implements TaskTrainer {
  readonly agreesOnModel = false;
  readonly network: string;
  readonly own: TaughtModel;
  readonly #parts: TeachingTrainerParts;
  readonly #packer: UpdatePacker;
  readonly #side: SideModel;
  #stop: AbortController | undefined;

  private constructor(
    runner: TrainingRunner,
    parts: TeachingTrainerParts,
    spec: ModelSpec,
    own: TaughtModel,
  ) {
    this.own = own;
    this.network = parts.network;
    this.#parts = parts;
    this.#packer = new UpdatePacker(parts.spec, parts.pack, parts.random);
    this.#side = new SideModel(runner, spec, parts.random.fork("second"));
  }

  /** @throws TrainingError for a network that can not be built */
  static async open(runner: TrainingRunner, parts: TeachingTrainerParts): Promise<TeachingTrainer> {
    const { network, transfer, teaching: lesson } = parts;
    const spec = networkOf(parts.spec.model, lesson, network);
    const random = parts.random.fork("own");
    const own = await TaughtModel.open({ spec, transfer, lesson, runner, random });
    return new TeachingTrainer(runner, parts, spec, own);
  }

  train(base: Float32Array, samples: OwnSamples): Promise<TrainedUpdate | undefined> {
    return this.#inTurn(async (signal) => {
      const loss = await this.#trainOn(base, samples, signal);
      if (loss === undefined) return undefined;
      const update = minus(await this.own.answers(), base);
      const bytes = await this.#packer.pack(update);
      return { bytes, samples: samples.train.count, loss };
    });
  }

  /** Its answers in the next round say how far it has come. */
  async trainAlone(base: Float32Array, samples: OwnSamples): Promise<boolean> {
    const loss = await this.#inTurn((signal) => this.#trainOn(base, samples, signal));
    return loss !== undefined;
  }

  /** @returns undefined where it was abandoned, be it while it waited */
  #inTurn<T>(work: (signal: AbortSignal) => Promise<T | undefined>): Promise<T | undefined> {
    const { signal } = (this.#stop = new AbortController());
    return this.own.inTurn(async () => (signal.aborted ? undefined : work(signal)));
  }

  /** @returns the loss; undefined when it was abandoned */
  async #trainOn(
    base: Float32Array,
    samples: OwnSamples,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    await samples.refresh?.();
    const { spec, random, onProgress } = this.#parts;
    if (!(await this.own.learn(base, { signal }))) return undefined;
    const how = { start: this.own.weights() };
    const control = { signal, onProgress };
    const { model } = this.own;
    const steps = await localSteps(model, samples.train, localClient(spec), how, random, control);
    if (steps === undefined || signal.aborted) return undefined;
    this.own.trained(steps.weights);
    return steps.loss;
  }

  pause(): Promise<void> {
    return this.own.pause();
  }

  resume(): Promise<void> {
    return this.own.resume();
  }

  abandon(): void {
    this.#stop?.abort();
  }

  evaluate(weights: Float32Array, samples: Samples): Promise<Evaluation> {
    return this.#side.evaluate(weights, samples);
  }

  predict(weights: Float32Array, features: Float32Array, count: number): Promise<Float32Array> {
    return this.#side.predict(weights, features, count);
  }

  async dispose(): Promise<void> {
    this.abandon();
    await this.own.dispose();
    await this.#side.dispose();
  }
}
