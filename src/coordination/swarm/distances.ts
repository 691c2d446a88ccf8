import type { ChoiceOptions } from "./options.ts";

/** A place in the plane. */
export type Point = readonly [x: number, y: number];

/** Places that one colony visits at most: its tables grow with the square. */
export const PLACES_MAX = 1_024;

/** Symmetric distances between places that are numbered from 0. */
export class Distances {
  readonly size: number;
  readonly #values: Float64Array;

  private constructor(size: number) {
    if (!(size >= 3 && size <= PLACES_MAX))
      throw new RangeError(`a tour has 3 to ${PLACES_MAX} places`);
    this.size = size;
    this.#values = new Float64Array(size * size);
  }

  /**
   * Distances in the plane, rounded to whole numbers as TSPLIB's EUC_2D says (Reinelt, "TSPLIB 95", section 2.1).
   * @throws RangeError for too few or too many places
   */
  static roundedEuclidean(points: readonly Point[]): Distances {
    return Distances.of(points.length, (from, to) => {
      const [fromX, fromY] = points[from] ?? [0, 0];
      const [toX, toY] = points[to] ?? [0, 0];
      return Math.floor(Math.hypot(fromX - toX, fromY - toY) + 0.5);
    });
  }

  /**
   * Any distances.
   * @param between is asked once for each pair, with the lower number first
   * @throws RangeError for too few or too many places, and for distances that are negative or no numbers
   */
  static of(size: number, between: (from: number, to: number) => number): Distances {
    const distances = new Distances(size);
    for (let from = 0; from < size; from++)
      for (let to = from + 1; to < size; to++) {
        const distance = between(from, to);
        if (!(distance >= 0 && Number.isFinite(distance)))
          throw new RangeError(`distance from ${from} to ${to} has to be a number from 0`);
        distances.#values[from * size + to] = distance;
        distances.#values[to * size + from] = distance;
      }
    return distances;
  }

  get longest(): number {
    return this.#values.reduce((most, distance) => Math.max(most, distance), 0);
  }

  between(from: number, to: number): number {
    return this.#values[from * this.size + to] ?? 0;
  }

  /** Length of a closed tour. */
  lengthOf(tour: ArrayLike<number>): number {
    let length = 0;
    let from = tour[tour.length - 1] ?? 0;
    for (let at = 0; at < tour.length; at++) {
      const to = tour[at] ?? 0;
      length += this.between(from, to);
      from = to;
    }
    return length;
  }

  /** @returns for each place its nearest ones, nearest first, in one run of `count` for each */
  nearest(count: number): Int32Array {
    const nearest = new Int32Array(this.size * count);
    for (let from = 0; from < this.size; from++) {
      const others = Array.from({ length: this.size }, (_, to) => to).filter((to) => to !== from);
      others.sort((a, b) => this.between(from, a) - this.between(from, b) || a - b);
      nearest.set(others.slice(0, count), from * count);
    }
    return nearest;
  }

  /** How good a step looks: one over its length, to the power of beta. Places that coincide count as very near. */
  visibility(from: number, to: number, { beta }: Pick<ChoiceOptions, "beta">): number {
    return (1 / Math.max(this.between(from, to), 1e-3)) ** beta;
  }
}
