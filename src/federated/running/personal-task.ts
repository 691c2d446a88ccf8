import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Evaluation } from "../../platform/training-backend.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { FollowingModel } from "../personalization/following-model.ts";
import type { OwnModelMemory } from "../personalization/own-model-memory.ts";
import type { OwnSamples, TaskTrainer } from "./task-trainer.ts";

/** An own model is written to flash no more often than this, besides once at the end: it can be trained again, flash can not. */
const KEEP_EVERY_MS = 300_000;

/** What a task's own model works with. */
export interface PersonalTaskParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly trainer: TaskTrainer;
  readonly own: FollowingModel;
  readonly samples: OwnSamples;
  readonly memory: OwnModelMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The newest global model and its round; undefined where nobody has it. */
  readonly newest: () => Promise<
    { readonly round: number; readonly weights: Float32Array } | undefined
  >;
  /** After a round the own model is another than before. */
  readonly onMade: (round: number, weights: Float32Array) => void;
  /** The own model that was made after a round was judged by what is kept back here. */
  readonly onJudged: (round: number, evaluation: Evaluation) => void;
}

/** An agent's own model in one task: it follows the newest global one, is judged, and outlasts a restart. */
export class PersonalTask {
  readonly #parts: PersonalTaskParts;
  readonly #keeping: WakeUp;
  #mayTrain = false;
  #isStopped = false;
  /** The newest round that is not followed yet. */
  #wanted = 0;
  #work: Promise<void> | undefined;
  #keptAtMs = Number.NEGATIVE_INFINITY;
  #kept: Float32Array | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(parts: PersonalTaskParts) {
    this.#parts = parts;
    this.#keeping = new WakeUp(parts.clock, "learning.keep-own", () => this.#keep());
  }

  /** Goes on with what the last run kept. @throws StoreError */
  static async open(parts: PersonalTaskParts): Promise<PersonalTask> {
    const personal = new PersonalTask(parts);
    const { own, memory, task, logger } = parts;
    const state = await memory.read(task);
    if (state === undefined) return personal;
    if (own.restore(state)) personal.#kept = state.values;
    else logger.warn("the own model that was kept does not fit the task", { task });
    return personal;
  }

  /** Which model answers where nobody asks for one of them. */
  get answersBy(): "own" | "global" {
    return this.#parts.own.answersBy;
  }

  /** A round is decided, or the task was joined at this one. */
  follow(round: number): void {
    if (round === 0) return;
    this.#wanted = Math.max(this.#wanted, round);
    this.#begin();
  }

  /** Whether power and budget allow to train, and the task goes on. */
  mayTrain(allowed: boolean): void {
    this.#mayTrain = allowed;
    const { own, logger } = this.#parts;
    (allowed ? own.resume() : own.pause()).catch((error: unknown) =>
      logger.debug("an own model did not rest", { error }),
    );
    this.#begin();
  }

  /** @returns the own model, given the newest global one, and the round that it was made after; undefined before there is any */
  weights(
    global: Float32Array,
    round: number,
  ): { readonly weights: Float32Array; readonly round: number } | undefined {
    const { own } = this.#parts;
    const weights = own.weights(global);
    return weights && { weights, round: own.state?.round || round };
  }

  /** What it has learned is kept. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#keeping.cancel();
    this.#parts.own.abandon();
    await this.#work;
    this.#keep();
    await this.#writing;
  }

  #begin(): void {
    if (this.#isStopped || !this.#mayTrain || this.#work !== undefined) return;
    const round = this.#wanted;
    const { own, logger } = this.#parts;
    if (round === 0 || (own.state?.round ?? 0) >= round) return;
    this.#work = this.#followNewest()
      .catch((error: unknown) => logger.warn("an own model was not trained", { error }))
      .finally(() => {
        this.#work = undefined;
        // Rounds that came meanwhile are made good by the newest of them.
        if (this.#wanted > round) this.#begin();
      });
  }

  async #followNewest(): Promise<void> {
    const { own, samples, trainer, newest, onMade, onJudged } = this.#parts;
    const global = await newest();
    if (global === undefined || this.#isStopped) return;
    const { round, weights } = global;
    this.#wanted = Math.max(this.#wanted, round);
    if (!(await own.follow(round, weights, samples.train)) || this.#isStopped) return;
    const { clock } = this.#parts;
    this.#keeping.at(Math.max(clock.monotonicMs(), this.#keptAtMs + KEEP_EVERY_MS));
    const values = own.weights(weights);
    if (values === undefined) return;
    onMade(round, values);
    if (samples.test.count === 0) return;
    onJudged(round, await trainer.evaluate(values, samples.test));
  }

  #keep(): void {
    const { own, memory, task, clock, logger } = this.#parts;
    const { state } = own;
    if (state === undefined || state.values === this.#kept) return;
    this.#keptAtMs = clock.monotonicMs();
    this.#writing = this.#writing
      .then(async () => {
        await memory.keep(task, state);
        this.#kept = state.values;
      })
      .catch((error: unknown) => logger.warn("an own model was not kept", { error }));
  }
}
