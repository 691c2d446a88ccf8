/**
 * m ← β m + (1 − β) g (Karimireddy, He, Jaggi 2021, section 5): workers send this in place of their gradient. It averages over
 * rounds, so that honest ones agree and a liar that hides in their spread has little room.
 *
 * @param momentum m of the round before; absent in the first, whose gradient is taken as it is
 * @param beta from 0 to below 1
 * @returns a new array
 * @throws RangeError for a beta out of its range
 */
export function workerMomentum(
  momentum: Float32Array | undefined,
  gradient: Float32Array,
  beta: number,
): Float32Array {
  if (!(beta >= 0 && beta < 1))
    throw new RangeError(`beta is ${beta}; it has to be at least 0 and below 1`);
  return momentum === undefined
    ? gradient.slice()
    : gradient.map((value, at) => beta * (momentum[at] ?? 0) + (1 - beta) * value);
}
