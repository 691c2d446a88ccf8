import {
  type Samples,
  type TrainableModel,
  TrainingError,
} from "../../platform/training-backend.ts";

/** How a client is expected to adapt a model, and how exactly that is foreseen. */
export interface MetaOptions {
  /** Of the steps by which a client will make the model its own. */
  readonly innerLearningRate: number;
  /**
   * `first` leaves the second derivative out (FOMAML; Per-FedAvg (FO)). `hessian-free` estimates its product with the
   * gradient by two more gradients a step (Per-FedAvg (HF), Fallah et al. 2020, equation 8).
   */
  readonly order: "first" | "hessian-free";
}

/** Inner steps of one meta-gradient: each keeps a copy of the weights. */
const INNER_STEPS_MAX = 16;
/**
 * How far the Hessian's product looks to both sides, as a share of the length of the weights. Gradients are float32: nearer,
 * their last bits are the difference; further, it is no derivative.
 */
const REACH = 3e-3;

/**
 * Gradient, with respect to the weights before, of the loss after adapting to a client (MAML, Finn et al. 2017, equation 1):
 * with inner steps `w(k+1) = w(k) - a grad f(k)(w(k))` it is `(I - a H(0)) ... (I - a H(K-1)) grad f(w(K))`. With one inner
 * step it is Per-FedAvg's (Fallah et al. 2020). The model has its weights again afterwards.
 * @param inner the batch of each inner step, 1 to 16
 * @param outer what the adapted model is judged by
 * @param into as long as the parameters
 * @param curved the batch of each step's Hessian. The inner steps' own unless given: then this is the gradient of just what was
 *   done. Per-FedAvg draws others, so that no sample's noise is multiplied by itself (Fallah et al. 2020, algorithm 1, D'')
 * @returns mean loss on `outer` after adapting
 * @throws TrainingError `training.samples` without inner steps or with too many, `training.not-finite` where adapting diverges
 */
export function metaGradient(
  model: TrainableModel,
  inner: readonly Samples[],
  outer: Samples,
  { innerLearningRate, order }: MetaOptions,
  into: Float32Array,
  curved = inner,
): number {
  if (inner.length < 1 || inner.length > INNER_STEPS_MAX)
    throw new TrainingError(
      "training.samples",
      `${inner.length} inner steps: there have to be 1 to ${INNER_STEPS_MAX}`,
    );
  const start = new Float32Array(model.parameterCount);
  model.read(start);
  try {
    const path: Float32Array[] = [start];
    const gradient = new Float32Array(model.parameterCount);
    for (const batch of inner) {
      const from = path.at(-1) ?? start;
      model.gradient(batch, gradient);
      const to = stepped(from, gradient, -innerLearningRate);
      model.write(to);
      path.push(to);
    }
    const loss = model.gradient(outer, into);
    if (order === "hessian-free")
      for (let step = inner.length - 1; step >= 0; step--) {
        const product = hessianProduct(model, path[step] ?? start, curved[step] ?? outer, into);
        for (let at = 0; at < into.length; at++)
          into[at] = (into[at] ?? 0) - innerLearningRate * (product[at] ?? 0);
      }
    return loss;
  } finally {
    model.write(start);
  }
}

/**
 * Product of the loss's Hessian at `weights` and `direction`, by the difference of two gradients (Pearlmutter 1994,
 * equation 2). The model is left at other weights.
 */
export function hessianProduct(
  model: TrainableModel,
  weights: Float32Array,
  samples: Samples,
  direction: Float32Array,
): Float32Array {
  const length = lengthOf(direction);
  const product = new Float32Array(direction.length);
  if (length === 0) return product;
  const reach = (REACH * Math.max(1, lengthOf(weights))) / length;
  model.write(stepped(weights, direction, reach));
  model.gradient(samples, product);
  const behind = new Float32Array(direction.length);
  model.write(stepped(weights, direction, -reach));
  model.gradient(samples, behind);
  for (let at = 0; at < product.length; at++)
    product[at] = ((product[at] ?? 0) - (behind[at] ?? 0)) / (2 * reach);
  return product;
}

function stepped(
  from: Float32Array,
  direction: Float32Array,
  length: number,
): Float32Array<ArrayBuffer> {
  const to = new Float32Array(from.length);
  for (let at = 0; at < to.length; at++) to[at] = (from[at] ?? 0) + length * (direction[at] ?? 0);
  return to;
}

function lengthOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
