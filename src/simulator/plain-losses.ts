import type { Loss, Samples } from "../platform/training-backend.ts";

/** What one batch came to. */
export interface BatchLoss {
  /** Sum over the samples; a sample's own is the mean over its outputs, with classes the cross-entropy. */
  readonly sum: number;
  readonly hits: number;
}

/**
 * Loss of a batch, and its gradient by the outputs, of the mean over `samplesOfMean` samples.
 *
 * @param outputs `count` times `outputSize`; logits with either cross-entropy
 * @param at where each sample's targets are among all samples
 * @param gradient as long as `outputs`, or nothing when nobody asks
 */
export function lossOf(
  loss: Loss,
  outputs: Float32Array,
  outputSize: number,
  { targets }: Samples,
  at: Int32Array,
  count: number,
  samplesOfMean: number,
  gradient?: Float32Array,
): BatchLoss {
  let sum = 0;
  let hits = 0;
  for (let sample = 0; sample < count; sample++) {
    const from = sample * outputSize;
    const place = at[sample] as number;
    if (loss === "softmax-cross-entropy") {
      const target = targets[place] as number;
      let largest = 0;
      for (let each = 1; each < outputSize; each++)
        if ((outputs[from + each] as number) > (outputs[from + largest] as number)) largest = each;
      const most = outputs[from + largest] as number;
      let total = 0;
      for (let each = 0; each < outputSize; each++)
        total += Math.exp((outputs[from + each] as number) - most);
      sum += Math.log(total) + most - (outputs[from + target] as number);
      if (largest === target) hits++;
      if (gradient === undefined) continue;
      for (let each = 0; each < outputSize; each++) {
        const share = Math.exp((outputs[from + each] as number) - most) / total;
        gradient[from + each] = (share - (each === target ? 1 : 0)) / samplesOfMean;
      }
      continue;
    }
    const scale = 1 / outputSize;
    for (let each = 0; each < outputSize; each++) {
      const output = outputs[from + each] as number;
      const target = targets[place * outputSize + each] as number;
      if (loss === "mean-squared-error") {
        sum += scale * (output - target) ** 2;
        if (gradient !== undefined)
          gradient[from + each] = (2 * scale * (output - target)) / samplesOfMean;
      } else {
        // log(1 + e^x) without overflow.
        const magnitude = Math.log1p(Math.exp(-Math.abs(output)));
        sum += scale * (Math.max(output, 0) - output * target + magnitude);
        if (gradient !== undefined)
          gradient[from + each] = (scale * (1 / (1 + Math.exp(-output)) - target)) / samplesOfMean;
      }
    }
  }
  return { sum, hits };
}
