import type { ParameterInfo, TrainPlan } from "../platform/training-backend.ts";

/**
 * One step of gradient descent: the gradient is shortened, then weight decay, proximal term and correction are added,
 * then momentum. Statistics are left alone.
 */
export class PlainStep {
  readonly #plan: TrainPlan;
  readonly #trained: readonly ParameterInfo[];
  readonly #velocity: Float32Array | undefined;
  /** Whether all weights were finite after the last step. */
  isFinite = true;

  constructor(plan: TrainPlan, layout: readonly ParameterInfo[], parameterCount: number) {
    this.#plan = plan;
    this.#trained = layout.filter(({ role }) => role !== "statistics");
    this.#velocity =
      plan.velocity ?? ((plan.momentum ?? 0) > 0 ? new Float32Array(parameterCount) : undefined);
  }

  apply(weights: Float32Array, gradient: Float32Array): void {
    const { learningRate, momentum = 0, weightDecay = 0, proximal, correction } = this.#plan;
    const scale = this.#clippingScale(gradient);
    const velocity = this.#velocity;
    const mu = proximal?.mu ?? 0;
    const anchor = proximal?.anchor ?? weights;
    // A sum is finite exactly when all its terms are, unless it overflows: then they are large enough to be told.
    let sum = 0;
    for (const { offset, size } of this.#trained) {
      for (let at = offset; at < offset + size; at++) {
        const weight = weights[at] as number;
        let slope = scale * (gradient[at] as number) + weightDecay * weight;
        if (mu !== 0) slope += mu * (weight - (anchor[at] as number));
        if (correction !== undefined) slope += correction[at] as number;
        if (velocity !== undefined) {
          slope += momentum * (velocity[at] as number);
          velocity[at] = slope;
        }
        weights[at] = weight - learningRate * slope;
        sum += weights[at] as number;
      }
    }
    this.isFinite = Number.isFinite(sum);
  }

  #clippingScale(gradient: Float32Array): number {
    const { clippingNorm } = this.#plan;
    if (clippingNorm === undefined) return 1;
    let squares = 0;
    for (const { offset, size } of this.#trained)
      for (let at = offset; at < offset + size; at++) {
        const value = gradient[at] as number;
        squares += value * value;
      }
    const norm = Math.sqrt(squares);
    return norm > clippingNorm ? clippingNorm / norm : 1;
  }
}
