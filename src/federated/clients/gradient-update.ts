import type { Random } from "../../platform/random.ts";
import type { TrainableModel } from "../../platform/training-backend.ts";
import { type LabelledSamples, pick } from "../data/dataset.ts";

/**
 * The way down from the global model, over a batch drawn from a client's own samples without putting any back: its gradient
 * turned round, for one step of distributed SGD.
 *
 * @param model the global model is in it, and stays
 * @returns the negative gradient, and the loss of the batch
 */
export function gradientUpdate(
  model: TrainableModel,
  samples: LabelledSamples,
  places: Int32Array,
  batchSize: number,
  random: Random,
): { readonly descent: Float32Array; readonly loss: number } {
  const drawn = draw(places, Math.min(batchSize, places.length), random);
  const descent = new Float32Array(model.parameterCount);
  const loss = model.gradient(pick(samples, drawn), descent);
  for (let at = 0; at < descent.length; at++) descent[at] = -(descent[at] as number);
  return { descent, loss };
}

/** The first steps of a shuffle of a copy: only what is drawn is moved. */
function draw(places: Int32Array, count: number, random: Random): Int32Array {
  const left = places.slice();
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random.next() * (left.length - at));
    const value = left[at] as number;
    left[at] = left[other] as number;
    left[other] = value;
  }
  return left.subarray(0, count);
}
