import { needPositive, needShare } from "../helpers.ts";
import type { Moments, ServerOptimizer } from "./server-optimizer.ts";

/** Of {@link AdaptiveServer}; the names are those of Reddi et al. */
export interface AdaptiveOptions {
  readonly kind: "fedadagrad" | "fedadam" | "fedyogi";
  /** η, 0.1 when absent. */
  readonly learningRate?: number;
  /** β₁ of the first moment, from 0 to below 1; 0 for FedAdagrad and 0.9 for the others when absent. */
  readonly beta1?: number;
  /** β₂ of the second moment, from 0 to below 1; 0.99 when absent, and without meaning for FedAdagrad. */
  readonly beta2?: number;
  /** τ, how adaptive it is: below it coordinates no longer move faster; 0.001 when absent. */
  readonly tau?: number;
}

/**
 * FedAdagrad, FedAdam and FedYogi (Reddi et al. 2021, algorithm 2): m ← β₁ m + (1 − β₁) Δ, v by the kind,
 * model + η m / (√v + τ). No bias is corrected, as in the paper, and v begins at τ².
 */
export class AdaptiveServer implements ServerOptimizer {
  readonly name: AdaptiveOptions["kind"];
  readonly #learningRate: number;
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #tau: number;

  /** @throws AggregationError `aggregation.options` */
  constructor({
    kind,
    learningRate = 0.1,
    beta1 = kind === "fedadagrad" ? 0 : 0.9,
    beta2 = 0.99,
    tau = 1e-3,
  }: AdaptiveOptions) {
    needPositive(kind, "learningRate", learningRate);
    needShare(kind, "beta1", beta1);
    needShare(kind, "beta2", beta2);
    needPositive(kind, "tau", tau);
    this.name = kind;
    this.#learningRate = learningRate;
    this.#beta1 = beta1;
    this.#beta2 = beta2;
    this.#tau = tau;
  }

  begin(length: number): Moments {
    return {
      first: new Float32Array(length),
      second: new Float32Array(length).fill(this.#tau * this.#tau),
    };
  }

  step(model: Float32Array, update: Float32Array, moments: Moments) {
    const start = this.begin(model.length);
    const { first: before = model, second: spread = model } = { ...start, ...moments };
    const first = before.map(
      (value, at) => this.#beta1 * value + (1 - this.#beta1) * (update[at] ?? 0),
    );
    const second = spread.map((value, at) => this.#second(value, squared(update[at] ?? 0)));
    return {
      model: model.map(
        (value, at) =>
          value +
          (this.#learningRate * (first[at] ?? 0)) / (Math.sqrt(second[at] ?? 0) + this.#tau),
      ),
      moments: { first, second },
    };
  }

  #second(value: number, square: number): number {
    if (this.name === "fedadagrad") return value + square;
    if (this.name === "fedadam") return this.#beta2 * value + (1 - this.#beta2) * square;
    return value - (1 - this.#beta2) * square * Math.sign(value - square);
  }
}

function squared(value: number): number {
  return value * value;
}
