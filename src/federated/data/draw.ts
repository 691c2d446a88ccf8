import type { Random } from "../../platform/random.ts";
import { ln, power, standardNormal } from "../strategies/elementary.ts";

/** Shuffles in place (Fisher and Yates, Durstenfeld's form). @returns the same array */
export function shuffle<T extends Int32Array | number[]>(values: T, random: Random): T {
  for (let at = values.length - 1; at > 0; at--) {
    const other = Math.floor(random.next() * (at + 1));
    const value = values[at] as number;
    values[at] = values[other] as number;
    values[other] = value;
  }
  return values;
}

/** @returns all numbers from 0 to below `count`, in an order by chance */
export function shuffled(count: number, random: Random): Int32Array {
  return shuffle(
    Int32Array.from({ length: count }, (_, at) => at),
    random,
  );
}

/** @returns `count` different numbers from 0 to below `among`, ascending */
export function sample(among: number, count: number, random: Random): readonly number[] {
  return [...shuffled(among, random).subarray(0, count)].sort((one, other) => one - other);
}

/** @returns a draw from the gamma distribution of this shape and scale 1 (Marsaglia and Tsang 2000) */
export function gammaDraw(shape: number, random: Random): number {
  // Section 6: below one, by way of shape + 1.
  if (shape < 1) return gammaDraw(shape + 1, random) * power(1 - random.next(), 1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = standardNormal(random);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.next();
    if (ln(u) < 0.5 * x * x + d - d * v + d * ln(v)) return d * v;
  }
}
