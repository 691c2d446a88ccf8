import type { TrainPlan } from "../training-backend.ts";
import type { Address, TrainingKernels } from "../training-kernels.ts";
import type { ModelLayout } from "../training-layout.ts";
import type { TrainingArena } from "./training-arena.ts";

/** From a gradient to new weights. What a plan needs as long as the parameters is taken once and kept. */
export class TrainingStep {
  readonly #arena: TrainingArena;
  readonly #kernels: TrainingKernels;
  readonly #count: number;
  readonly #weights: Address;
  /** Parameters that follow a gradient, in runs without statistics between. */
  readonly #runs: { readonly offset: number; size: number }[] = [];
  readonly #rooms = { velocity: 0, anchor: 0, correction: 0 };
  #plan: TrainPlan | undefined;
  #velocity: Address = 0;
  #anchor: Address = 0;
  #correction: Address = 0;

  constructor(
    { parameters, parameterCount }: ModelLayout,
    weights: Address,
    arena: TrainingArena,
    kernels: TrainingKernels,
  ) {
    this.#arena = arena;
    this.#kernels = kernels;
    this.#count = parameterCount;
    this.#weights = weights;
    for (const { offset, size, role } of parameters) {
      if (role === "statistics") continue;
      const last = this.#runs.at(-1);
      if (last !== undefined && last.offset + last.size === offset) last.size += size;
      else this.#runs.push({ offset, size });
    }
  }

  /** @returns whether the gradient alone makes the step, so that it may be added to the weights as it comes about */
  begin(plan: TrainPlan): boolean {
    const { momentum = 0, velocity, weightDecay = 0, proximal, correction, clippingNorm } = plan;
    this.#plan = plan;
    this.#velocity = 0;
    if (momentum > 0 || velocity !== undefined) {
      this.#velocity = this.#room("velocity");
      if (velocity === undefined) this.#at(this.#velocity).fill(0);
      else this.#at(this.#velocity).set(velocity);
    }
    this.#anchor = this.#copied("anchor", proximal?.anchor);
    this.#correction = this.#copied("correction", correction);
    return (
      this.#velocity === 0 &&
      this.#anchor === 0 &&
      this.#correction === 0 &&
      weightDecay === 0 &&
      clippingNorm === undefined
    );
  }

  apply(gradient: Address): void {
    if (this.#plan === undefined) return;
    const { learningRate, momentum = 0, weightDecay = 0, proximal } = this.#plan;
    const factor = this.#clippingFactor(gradient);
    for (const { offset, size } of this.#runs) {
      const bytes = 4 * offset;
      this.#kernels.sgd(
        this.#weights + bytes,
        gradient + bytes,
        size,
        learningRate,
        factor,
        weightDecay,
        proximal?.mu ?? 0,
        this.#anchor && this.#anchor + bytes,
        this.#correction && this.#correction + bytes,
        momentum,
        this.#velocity && this.#velocity + bytes,
      );
    }
  }

  /** Writes the velocity back to who gave it. */
  end({ velocity }: TrainPlan): void {
    if (velocity !== undefined) velocity.set(this.#at(this.#velocity));
    this.#plan = undefined;
  }

  dispose(): void {
    for (const at of Object.values(this.#rooms)) this.#arena.give(at);
  }

  #clippingFactor(gradient: Address): number {
    const clippingNorm = this.#plan?.clippingNorm;
    if (clippingNorm === undefined) return 1;
    let squares = 0;
    for (const { offset, size } of this.#runs) {
      const at = gradient + 4 * offset;
      squares += this.#kernels.dot(at, at, size);
    }
    const norm = Math.sqrt(squares);
    return norm > clippingNorm ? clippingNorm / norm : 1;
  }

  #copied(name: "anchor" | "correction", from: Float32Array | undefined): Address {
    if (from === undefined) return 0;
    const at = this.#room(name);
    this.#at(at).set(from);
    return at;
  }

  #room(name: "velocity" | "anchor" | "correction"): Address {
    this.#rooms[name] ||= this.#arena.take(4 * this.#count, name);
    return this.#rooms[name];
  }

  #at(at: Address): Float32Array {
    return this.#arena.floats().subarray(at / 4, at / 4 + this.#count);
  }
}
