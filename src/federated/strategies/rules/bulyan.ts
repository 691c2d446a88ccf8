import type { Aggregation, AggregationContext } from "../aggregation.ts";
import { needUpdates, needWhole, pairwiseDistances, pick } from "../helpers.ts";

/**
 * Bulyan over Krum (El Mhamdi, Guerraoui, Rouault 2018, section 4): Krum takes one update after the other until there are
 * θ = n − 2f, each time among those that are left; then of each coordinate the mean of the θ − 2f values nearest to their
 * median. No single coordinate can be driven far, which Krum alone allows in many dimensions.
 */
export class Bulyan implements Aggregation {
  readonly name = "bulyan";
  readonly showsNotFinite = true;
  readonly #byzantine: number;

  /**
   * `byzantine`: how many liars it is to withstand, the paper's f
   * @throws AggregationError `aggregation.options`
   */
  constructor({ byzantine }: { readonly byzantine: number }) {
    needWhole("bulyan", "byzantine", byzantine, 0);
    this.#byzantine = byzantine;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math }: AggregationContext,
  ): Float32Array {
    const f = this.#byzantine;
    needUpdates(this.name, updates.length, 4 * f + 3, `4f + 3 with f = ${f}`);
    const selected = selectByKrum(pairwiseDistances(updates, math), f, updates.length - 2 * f);
    return math.meanAroundMedian(pick(updates, selected), updates.length - 4 * f);
  }
}

/**
 * Krum again and again over those that are left. Distances are sorted once: those that are gone are passed over.
 * Where fewer than f + 3 are left, the nearest one alone makes the score, as no more can be asked for.
 */
function selectByKrum(
  distances: readonly Float64Array[],
  byzantine: number,
  wanted: number,
): number[] {
  const nearest = distances.map((row, self) =>
    [...row.keys()]
      .filter((other) => other !== self)
      .sort((a, b) => compare(row[a] ?? 0, row[b] ?? 0) || a - b),
  );
  const left = new Set(distances.keys());
  const selected: number[] = [];
  while (selected.length < wanted) {
    const neighbours = Math.max(1, left.size - byzantine - 2);
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const candidate of left) {
      let score = 0;
      let counted = 0;
      for (const other of nearest[candidate] ?? []) {
        if (!left.has(other)) continue;
        score += distances[candidate]?.[other] ?? 0;
        if (++counted === neighbours) break;
      }
      if (best !== -1 && score >= least) continue;
      best = candidate;
      least = score;
    }
    left.delete(best);
    selected.push(best);
  }
  return selected.sort((a, b) => a - b);
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
