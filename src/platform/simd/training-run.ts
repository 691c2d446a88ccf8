import {
  type Samples,
  type TrainableModel,
  TrainingError,
  type TrainPlan,
  type TrainReport,
} from "../training-backend.ts";
import { checkPlan } from "../training-checks.ts";
import type { RunOutcome, TrainingCheckpoint } from "../training-runner.ts";

/** How long a slice is to take. One step may take longer. */
const SLICE_MS = 50;
/** No slice is longer, however quick its steps seem. */
const SLICE_STEPS_MAX = 10_000;

/** Whether a run may go on; changed between slices. */
export interface RunGate {
  isStopped: boolean;
  /** Resolves when a pause is over; undefined while there is none. */
  whilePaused: Promise<void> | undefined;
}

/** One run of training in slices, between which others have their turn. */
export class TrainingRun {
  readonly #model: TrainableModel;
  readonly #samples: Samples;
  readonly #plan: TrainPlan;
  readonly #steps: number;
  readonly #velocity: Float32Array;
  readonly #nowMs: () => number;
  /** The weights as they came. */
  readonly #before: Float32Array;
  #step = 0;
  #lossSum = 0;

  /** @throws TrainingError `training.samples` when the checkpoint does not fit the plan */
  constructor(
    model: TrainableModel,
    samples: Samples,
    plan: TrainPlan,
    from: TrainingCheckpoint | undefined,
    nowMs: () => number,
  ) {
    checkPlan(plan, model.parameterCount);
    this.#model = model;
    this.#samples = samples;
    this.#plan = plan;
    this.#nowMs = nowMs;
    this.#steps = Math.ceil(plan.order.length / plan.batchSize);
    const hasVelocity = plan.velocity !== undefined || (plan.momentum ?? 0) > 0;
    const length = hasVelocity ? model.parameterCount : 0;
    this.#before = new Float32Array(model.parameterCount);
    model.read(this.#before);
    this.#velocity = plan.velocity?.slice() ?? new Float32Array(length);
    if (from === undefined) return;
    const { step, velocity, lossSum } = from;
    if (!Number.isSafeInteger(step) || step < 0 || !(step <= this.#steps))
      throw unfit(`step ${step} is not among the plan's ${this.#steps}`);
    if (velocity.length !== length)
      throw unfit(`its velocity has ${velocity.length} values, not ${length}`);
    model.write(from.weights);
    this.#velocity.set(velocity);
    this.#step = step;
    this.#lossSum = lossSum;
  }

  /** @param turn lets others have theirs */
  async go(
    gate: RunGate,
    turn: () => Promise<void>,
    onSlice: (step: number, steps: number) => void,
  ): Promise<RunOutcome> {
    let sliceSteps = 1;
    while (this.#step < this.#steps) {
      await turn();
      while (gate.whilePaused !== undefined && !gate.isStopped) await gate.whilePaused;
      if (gate.isStopped) break;
      const fromMs = this.#nowMs();
      const done = this.#slice(sliceSteps);
      const stepMs = Math.max(1e-3, (this.#nowMs() - fromMs) / done);
      sliceSteps = Math.min(SLICE_STEPS_MAX, 4 * sliceSteps, Math.ceil(SLICE_MS / stepMs));
      onSlice(this.#step, this.#steps);
    }
    return {
      steps: this.#step,
      loss: this.#lossSum / Math.max(1, this.#step),
      finished: this.#step === this.#steps,
      checkpoint: this.checkpoint(),
    };
  }

  checkpoint(): TrainingCheckpoint {
    const weights = new Float32Array(this.#model.parameterCount);
    this.#model.read(weights);
    return {
      step: this.#step,
      weights,
      velocity: this.#velocity.slice(),
      lossSum: this.#lossSum,
    };
  }

  /** @returns how many steps were taken */
  #slice(steps: number): number {
    const { order, batchSize, velocity: _, dropout, ...rest } = this.#plan;
    const from = this.#step * batchSize;
    const { steps: taken, loss } = this.#trained({
      ...rest,
      order: order.subarray(from, Math.min(order.length, from + steps * batchSize)),
      batchSize,
      ...(this.#velocity.length > 0 ? { velocity: this.#velocity } : {}),
      dropout: {
        seed: dropout?.seed ?? 0,
        firstStep: (dropout?.firstStep ?? 0) + this.#step,
      },
    });
    this.#step += taken;
    this.#lossSum += loss * taken;
    return taken;
  }

  #trained(plan: TrainPlan): TrainReport {
    try {
      return this.#model.train(this.#samples, plan);
    } catch (error) {
      this.#model.write(this.#before);
      throw error;
    }
  }
}

function unfit(what: string): TrainingError {
  return new TrainingError("training.samples", `the checkpoint does not fit the plan: ${what}`);
}
