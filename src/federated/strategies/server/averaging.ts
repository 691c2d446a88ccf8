import { needPositive, needShare } from "../helpers.ts";
import type { Moments, ServerOptimizer } from "./server-optimizer.ts";

/** model + η · update: FedAvg (McMahan et al. 2017) with η = 1. */
export class ServerAveraging implements ServerOptimizer {
  readonly name = "fedavg";
  readonly #learningRate: number;

  /** @throws AggregationError `aggregation.options` */
  constructor({ learningRate = 1 }: { readonly learningRate?: number } = {}) {
    needPositive("fedavg", "learningRate", learningRate);
    this.#learningRate = learningRate;
  }

  begin(): Moments {
    return {};
  }

  step(model: Float32Array, update: Float32Array) {
    return {
      model: model.map((value, at) => value + this.#learningRate * (update[at] ?? 0)),
      moments: {},
    };
  }
}

/** FedAvgM (Hsu, Qi, Brown 2019): v ← β v + update, model + η v. */
export class ServerMomentum implements ServerOptimizer {
  readonly name = "fedavgm";
  readonly #learningRate: number;
  readonly #momentum: number;

  /**
   * `momentum`: β, from 0 to below 1
   * @throws AggregationError `aggregation.options`
   */
  constructor({
    learningRate = 1,
    momentum = 0.9,
  }: { readonly learningRate?: number; readonly momentum?: number } = {}) {
    needPositive("fedavgm", "learningRate", learningRate);
    needShare("fedavgm", "momentum", momentum);
    this.#learningRate = learningRate;
    this.#momentum = momentum;
  }

  begin(length: number): Moments {
    return { momentum: new Float32Array(length) };
  }

  step(
    model: Float32Array,
    update: Float32Array,
    { momentum = new Float32Array(model.length) }: Moments,
  ) {
    const velocity = momentum.map((value, at) => this.#momentum * value + (update[at] ?? 0));
    return {
      model: model.map((value, at) => value + this.#learningRate * (velocity[at] ?? 0)),
      moments: { momentum: velocity },
    };
  }
}
