/**
 * Logarithm, exponential and power of additions and multiplications alone. `Math.log`, `Math.exp` and `Math.pow` may differ
 * in the last bit from one build of the engine to another; whoever recomputes an aggregate has to get the same bits.
 * Good to about 1e-15 relative (1e-13 for powers near the ends of the range).
 */
import type { Random } from "../../platform/random.ts";

/** ln 2 in two parts: the first has 21 zero bits at its end, so that its product with an exponent is exact. */
const LN2_HIGH = 0.69314718036912381649;
const LN2_LOW = 1.90821492927058770002e-10;

const TWO_TO_64 = 18_446_744_073_709_551_616;

/** Natural logarithm of a finite number above zero. */
export function ln(x: number): number {
  let mantissa = x;
  let exponent = 0;
  while (mantissa > Math.SQRT2) {
    const [factor, step] = mantissa > TWO_TO_64 ? [TWO_TO_64, 64] : [2, 1];
    mantissa /= factor;
    exponent += step;
  }
  while (mantissa < Math.SQRT1_2) {
    const [factor, step] = mantissa * TWO_TO_64 < 1 ? [TWO_TO_64, 64] : [2, 1];
    mantissa *= factor;
    exponent -= step;
  }
  // ln m = 2 artanh s with s = (m - 1) / (m + 1), and |s| < 0.172: eleven terms are enough.
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let series = 0;
  for (let term = 23; term >= 3; term -= 2) series = (series + 1 / term) * square;
  return exponent * LN2_HIGH + (2 * s * (1 + series) + exponent * LN2_LOW);
}

/** e to the power of a finite number; 0 or infinity beyond the range of float64. */
export function exp(x: number): number {
  if (x > 710) return Number.POSITIVE_INFINITY;
  if (x < -746) return 0;
  const exponent = Math.round(x / Math.LN2);
  const rest = x - exponent * LN2_HIGH - exponent * LN2_LOW;
  let series = 1;
  for (let term = 15; term >= 1; term--) series = 1 + (series * rest) / term;
  // In two steps, since 2 ** exponent alone may lie beyond the range.
  const half = Math.trunc(exponent / 2);
  return series * twoTo(half) * twoTo(exponent - half);
}

/** `base` above or at zero to the power of `exponent`; 0⁰ is 1. */
export function power(base: number, exponent: number): number {
  if (exponent === 0 || base === 1) return 1;
  if (base === 0) return exponent > 0 ? 0 : Number.POSITIVE_INFINITY;
  if (exponent === 1) return base;
  return exp(exponent * ln(base));
}

/** A draw from the normal distribution of mean 0 and deviation 1, by Marsaglia's polar method. */
export function standardNormal(random: Random): number {
  for (;;) {
    const x = 2 * random.next() - 1;
    const y = 2 * random.next() - 1;
    const square = x * x + y * y;
    if (square > 0 && square < 1) return x * Math.sqrt((-2 * ln(square)) / square);
  }
}

/** Powers of two are exact, by repeated doubling. */
function twoTo(exponent: number): number {
  let result = 1;
  const factor = exponent < 0 ? 0.5 : 2;
  for (let step = Math.abs(exponent); step > 0; step--) result *= factor;
  return result;
}
