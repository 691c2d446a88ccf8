import type { Random } from "./random.ts";
import type { Initializer } from "./training-backend.ts";

/** How many values go into a unit, and how many units a value goes to. */
export interface Fans {
  readonly in: number;
  readonly out: number;
}

/**
 * Variance of a kernel's values is `scale` over what goes into a unit, or over all that goes in and out. Kept apart, so that a limit is
 * rounded once: agents of all versions begin with the same bits.
 */
const VARIANCES = {
  glorot: { scale: 2, over: (fans: Fans) => fans.in + fans.out },
  he: { scale: 2, over: (fans: Fans) => fans.in },
  lecun: { scale: 1, over: (fans: Fans) => fans.in },
};
const NAMES = Object.keys(VARIANCES).flatMap((name) => [`${name}-uniform`, `${name}-normal`]);

/** @returns what is wrong with it, naming the setting and what it may be */
export function faultOf(initializer: Initializer): string | undefined {
  if (typeof initializer === "string")
    return NAMES.includes(initializer) ? undefined : `one of ${NAMES.join(", ")}`;
  const { kind } = initializer;
  if (kind !== "uniform" && kind !== "normal") return "kind: uniform or normal";
  const [name, value] =
    kind === "uniform" ? ["limit", initializer.limit] : ["deviation", initializer.deviation];
  return Number.isFinite(value) && value > 0 ? undefined : `${name}: a number above zero`;
}

/** Fills a kernel. */
export function draw(
  kernel: Float32Array,
  initializer: Initializer,
  fans: Fans,
  random: Random,
): void {
  if (typeof initializer !== "string") {
    if (initializer.kind === "uniform") uniform(kernel, initializer.limit, random);
    else normal(kernel, initializer.deviation, random);
    return;
  }
  const [name, distribution] = initializer.split("-") as [keyof typeof VARIANCES, string];
  const { scale, over } = VARIANCES[name];
  if (distribution === "uniform") uniform(kernel, Math.sqrt((3 * scale) / over(fans)), random);
  else normal(kernel, Math.sqrt(scale / over(fans)), random);
}

/** Fills a tensor with values between `-limit` and `limit`. */
export function uniform(tensor: Float32Array, limit: number, random: Random): void {
  for (let at = 0; at < tensor.length; at++) tensor[at] = (2 * random.next() - 1) * limit;
}

function normal(tensor: Float32Array, deviation: number, random: Random): void {
  for (let at = 0; at < tensor.length; at++) tensor[at] = deviation * gaussian(random);
}

/** Box & Muller 1958. */
export function gaussian(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}
