import type { Random } from "../../platform/random.ts";
import type { ModelSpec } from "../../platform/training-backend.ts";
import type { RunControl, RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";
import { shuffled } from "../data/draw.ts";
import type { FollowingModel, OwnState } from "../personalization/following-model.ts";
import { centredLogits, studentOf } from "./distil.ts";

/** Samples without classes. */
export interface TransferSet {
  readonly features: Float32Array;
  readonly count: number;
}

/** How a model learns from answers. */
interface Lesson {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** What one is opened with. */
export interface TaughtModelParts {
  /** Its network, whatever those of others are. */
  readonly spec: ModelSpec;
  /** What all models answer on. */
  readonly transfer: TransferSet;
  readonly lesson: Lesson;
  readonly runner: TrainingRunner;
  readonly random: Random;
}

/**
 * A model that learns from the answers of others on samples that all have (FedMD, Li and Wang 2019; FedDF, Lin et al. 2020). Whatever
 * its network, its weights never leave the agent.
 */
export class TaughtModel implements FollowingModel {
  readonly answersBy = "own";
  readonly #parts: TaughtModelParts;
  /** Trained on own samples, and asked for answers. */
  readonly model: RunnableModel;
  /** The same network, taught by regression on answers. */
  readonly #student: RunnableModel;
  readonly #stop = new AbortController();
  #weights: Float32Array;
  #round = 0;
  /** The answers that it learned from last. */
  #learned: Float32Array | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    parts: TaughtModelParts,
    model: RunnableModel,
    student: RunnableModel,
    weights: Float32Array,
  ) {
    this.#parts = parts;
    this.model = model;
    this.#student = student;
    this.#weights = weights;
  }

  /** @throws TrainingError for a network that can not be built */
  static async open(parts: TaughtModelParts): Promise<TaughtModel> {
    const { runner, spec, random } = parts;
    const model = await runner.build(spec, random.fork("weights"));
    const student = await runner.build(studentOf(spec), random.fork("student"));
    return new TaughtModel(parts, model, student, await model.read());
  }

  get state(): OwnState | undefined {
    return this.#round === 0 ? undefined : { round: this.#round, values: this.#weights };
  }

  restore({ round, values }: OwnState): boolean {
    const fits = values.length === this.model.parameterCount && values.every(Number.isFinite);
    if (!fits) return false;
    this.#weights = values;
    this.#round = round;
    return true;
  }

  /** There is one from the beginning. */
  weights(): Float32Array {
    return this.#weights;
  }

  follow(round: number, answers: Float32Array): Promise<boolean> {
    return this.inTurn(async () => {
      if (!(await this.learn(answers, { signal: this.#stop.signal }))) return false;
      this.#round = round;
      return true;
    });
  }

  /**
   * Learns from answers, where it has not yet. Within {@link inTurn}.
   * @returns false where it was stopped; the model is then as it was @throws TrainingError when training diverges
   */
  async learn(answers: Float32Array, control: RunControl): Promise<boolean> {
    // Before round 1 nobody has answered.
    if (answers.every((value) => value === 0)) return true;
    if (this.#learned !== undefined && isSame(this.#learned, answers)) return true;
    const { transfer, lesson, random } = this.#parts;
    const { epochs, batchSize, learningRate } = lesson;
    const { features, count } = transfer;
    const order = new Int32Array(count * epochs);
    for (let epoch = 0; epoch < epochs; epoch++) order.set(shuffled(count, random), epoch * count);
    await this.#student.write(this.#weights);
    const targets = centredLogits(answers, answers.length / count);
    const seed = Math.floor(random.next() * 2 ** 32);
    const plan = { order, batchSize, learningRate, dropout: { seed, firstStep: 0 } };
    const outcome = await this.#student.train({ count, features, targets }, plan, control);
    if (!outcome.finished) return false;
    this.#weights = await this.#student.read();
    this.#learned = answers;
    return true;
  }

  /** It was trained on own samples. Within {@link inTurn}. */
  trained(weights: Float32Array): void {
    this.#weights = weights;
  }

  /** @returns what it answers: a value for each class and sample @throws TrainingError */
  async answers(): Promise<Float32Array> {
    const { features, count } = this.#parts.transfer;
    await this.model.write(this.#weights);
    const logits = await this.model.predict(features, count);
    return centredLogits(logits, logits.length / count);
  }

  /** Nothing else changes the model meanwhile. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async pause(): Promise<void> {
    await Promise.all([this.model.pause(), this.#student.pause()]);
  }

  async resume(): Promise<void> {
    await Promise.all([this.model.resume(), this.#student.resume()]);
  }

  abandon(): void {
    this.#stop.abort();
  }

  async dispose(): Promise<void> {
    this.abandon();
    await this.model.dispose();
    await this.#student.dispose();
  }
}

function isSame(one: Float32Array, other: Float32Array): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}
