import type { ParameterInfo, TrainPlan } from "../training-backend.ts";

/** From a gradient to new weights, as the plan says. */
export class GradientStep {
  readonly #plan: TrainPlan;
  readonly #trained: readonly ParameterInfo[];
  readonly #velocity: Float32Array | undefined;

  constructor(plan: TrainPlan, parameters: readonly ParameterInfo[], parameterCount: number) {
    this.#plan = plan;
    this.#trained = parameters.filter(({ role }) => role !== "statistics");
    const hasMomentum = plan.velocity !== undefined || (plan.momentum ?? 0) > 0;
    this.#velocity = hasMomentum ? new Float32Array(parameterCount) : undefined;
    if (plan.velocity !== undefined) this.#velocity?.set(plan.velocity);
  }

  apply(weights: Float32Array, gradient: Float32Array): void {
    const { learningRate, momentum = 0, weightDecay = 0, proximal, correction } = this.#plan;
    const factor = this.#clippingFactor(gradient);
    const velocity = this.#velocity;
    for (const { offset, size } of this.#trained)
      for (let at = offset; at < offset + size; at++) {
        const weight = weights[at] ?? 0;
        let slope = factor * (gradient[at] ?? 0) + weightDecay * weight;
        if (proximal !== undefined) slope += proximal.mu * (weight - (proximal.anchor[at] ?? 0));
        if (correction !== undefined) slope += correction[at] ?? 0;
        if (velocity !== undefined) {
          slope += momentum * (velocity[at] ?? 0);
          velocity[at] = slope;
        }
        weights[at] = weight - learningRate * slope;
      }
  }

  /** Gives the velocity back to who brought one. */
  end(): void {
    if (this.#velocity !== undefined) this.#plan.velocity?.set(this.#velocity);
  }

  #clippingFactor(gradient: Float32Array): number {
    const { clippingNorm } = this.#plan;
    if (clippingNorm === undefined) return 1;
    let squares = 0;
    for (const { offset, size } of this.#trained)
      for (let at = offset; at < offset + size; at++) squares += (gradient[at] ?? 0) ** 2;
    const norm = Math.sqrt(squares);
    return norm > clippingNorm ? clippingNorm / norm : 1;
  }
}
