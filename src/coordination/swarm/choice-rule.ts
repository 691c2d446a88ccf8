import type { Random } from "../../platform/random.ts";
import type { ChoiceOptions } from "./options.ts";

/** Pull of an option: `pheromone^alpha × heuristic^beta` (Dorigo, Maniezzo and Colorni, "Ant System", 1996). */
export function attraction(
  pheromone: number,
  heuristic: number,
  { alpha, beta }: Pick<ChoiceOptions, "alpha" | "beta">,
): number {
  return pheromone ** alpha * heuristic ** beta;
}

/** What was drawn, and whether chance alone decided. */
export interface Draw {
  readonly index: number;
  readonly explored: boolean;
}

/**
 * The random proportional rule, with a share of choices that look at nothing.
 * @param weights pulls of the options; the first `count` of them
 * @returns undefined when there are none
 */
export function draw(
  weights: ArrayLike<number>,
  count: number,
  exploration: number,
  random: Random,
): Draw | undefined {
  if (count === 0) return undefined;
  if (exploration > 0 && random.next() < exploration)
    return { index: Math.floor(random.next() * count), explored: true };
  return { index: drawByWeight(weights, count, random), explored: false };
}

/** Draws in proportion to weights that are not negative; where none is above 0, the first. @returns its index */
export function drawByWeight(weights: ArrayLike<number>, count: number, random: Random): number {
  let sum = 0;
  for (let at = 0; at < count; at++) sum += weights[at] ?? 0;
  let left = random.next() * sum;
  let drawn = 0;
  for (let at = 0; at < count; at++) {
    const weight = weights[at] ?? 0;
    if (weight <= 0) continue;
    drawn = at;
    left -= weight;
    if (left < 0) break;
  }
  return drawn;
}
