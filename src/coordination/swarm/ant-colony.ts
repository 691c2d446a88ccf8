import type { Random } from "../../platform/random.ts";
import { draw } from "./choice-rule.ts";
import type { Distances } from "./distances.ts";
import type { ChoiceOptions } from "./options.ts";
import { TourSearch } from "./tour-search.ts";
import { TrailMatrix } from "./trail-matrix.ts";

/** How a colony works. */
export interface ColonyOptions extends ChoiceOptions {
  readonly ants: number;
  readonly decayPerTick: number;
  /** Nearest places that are tried first from each. */
  readonly candidates: number;
  /** Iterations without a better tour, after which all trails begin anew. */
  readonly patience: number;
}

/** Settings that find the optima of tours of fifty places within some dozen iterations. */
export const defaultColonyOptions: ColonyOptions = {
  ants: 10,
  decayPerTick: 0.1,
  exploration: 0.2,
  alpha: 1,
  beta: 2,
  candidates: 10,
  patience: 100,
};

/** The chance that the best tour is built again when trails have settled, by which the lower limit is set. */
const BEST_AGAIN = 0.05;
/** The best tour of all deposits in every so many iterations, the best of the iteration in the others. */
const BEST_OF_ALL_EVERY = 5;

/** What a colony is made of. */
export interface ColonyParts {
  readonly distances: Distances;
  readonly random: Random;
  readonly options: ColonyOptions;
}

/** A closed tour and its length. */
export interface Tour {
  readonly places: readonly number[];
  readonly length: number;
}

/**
 * Finds short closed tours: the MAX-MIN ant system (Stützle and Hoos, "MAX-MIN Ant System", 2000) with candidate lists and
 * a local search on every tour. Only good tours deposit, trails stay within limits, and begin anew when nothing gets better.
 * The same seed gives the same tours.
 */
export class AntColony {
  readonly #distances: Distances;
  readonly #random: Random;
  readonly #options: ColonyOptions;
  readonly #trails: TrailMatrix;
  readonly #search: TourSearch;
  readonly #nearest: Int32Array;
  readonly #nearestCount: number;
  /** Pulls of the candidates, worked out once in an iteration. */
  readonly #pulls: Float64Array;
  readonly #visibility: Float64Array;
  readonly #visited: Uint8Array;
  readonly #open: Int32Array;
  readonly #weights: Float64Array;
  readonly #tour: Int32Array;
  readonly #bestOfIteration: Int32Array;
  readonly #best: Int32Array;
  #bestLength = Number.POSITIVE_INFINITY;
  #iteration = 0;
  #restAtIteration = 0;

  /** @throws RangeError for less than one ant or one candidate, and for a decay outside 0 … 1 */
  constructor({ distances, random, options }: ColonyParts) {
    if (!(options.ants >= 1 && options.candidates >= 1))
      throw new RangeError("a colony has one ant and one candidate at least");
    const { size } = distances;
    this.#distances = distances;
    this.#random = random;
    this.#options = options;
    this.#trails = new TrailMatrix(size, options.decayPerTick);
    this.#nearestCount = Math.min(options.candidates, size - 1);
    this.#nearest = distances.nearest(this.#nearestCount);
    this.#search = new TourSearch(distances, this.#nearest, this.#nearestCount);
    this.#pulls = new Float64Array(this.#nearest.length);
    this.#visibility = Float64Array.from(this.#nearest, (to, at) =>
      distances.visibility(Math.floor(at / this.#nearestCount), to, options),
    );
    this.#visited = new Uint8Array(size);
    this.#open = new Int32Array(size);
    this.#weights = new Float64Array(size);
    this.#tour = new Int32Array(size);
    this.#bestOfIteration = new Int32Array(size);
    this.#best = new Int32Array(size);
  }

  /** Iterations so far. */
  get iteration(): number {
    return this.#iteration;
  }

  /** The shortest tour so far; undefined before the first iteration. */
  get best(): Tour | undefined {
    if (this.#iteration === 0) return undefined;
    return { places: [...this.#best], length: this.#bestLength };
  }

  /** Every ant builds a tour, and the best one leaves its trail. @returns length of the shortest tour so far */
  iterate(): number {
    this.#iteration++;
    this.#smell();
    let shortest = Number.POSITIVE_INFINITY;
    for (let ant = 0; ant < this.#options.ants; ant++) {
      this.#walk();
      this.#search.improve(this.#tour);
      const length = this.#distances.lengthOf(this.#tour);
      if (length >= shortest) continue;
      shortest = length;
      this.#bestOfIteration.set(this.#tour);
    }
    if (shortest < this.#bestLength) this.#improved(shortest);
    this.#leaveTrail(shortest);
    return this.#bestLength;
  }

  #improved(length: number): void {
    const isFirst = this.#bestLength === Number.POSITIVE_INFINITY;
    this.#best.set(this.#bestOfIteration);
    this.#bestLength = length;
    this.#restAtIteration = this.#iteration + this.#options.patience;
    const most = qualityOf(length) / this.#options.decayPerTick;
    const root = BEST_AGAIN ** (1 / this.#distances.size);
    const choices = Math.max(this.#nearestCount / 2, 2);
    this.#trails.limit(Math.min(most, (most * (1 - root)) / ((choices - 1) * root)), most);
    if (isFirst) this.#trails.fill(this.#iteration);
  }

  #leaveTrail(shortest: number): void {
    if (this.#iteration >= this.#restAtIteration) {
      this.#trails.fill(this.#iteration);
      this.#restAtIteration = this.#iteration + this.#options.patience;
    } else if (this.#iteration % BEST_OF_ALL_EVERY === 0)
      this.#trails.deposit(this.#best, qualityOf(this.#bestLength), this.#iteration);
    else this.#trails.deposit(this.#bestOfIteration, qualityOf(shortest), this.#iteration);
  }

  #smell(): void {
    const { alpha } = this.#options;
    const isFirst = this.#bestLength === Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#pulls.length; at++) {
      const from = Math.floor(at / this.#nearestCount);
      const pheromone = isFirst
        ? 1
        : this.#trails.level(from, this.#nearest[at] ?? 0, this.#iteration);
      this.#pulls[at] = pheromone ** alpha * (this.#visibility[at] ?? 0);
    }
  }

  /** One ant's tour. */
  #walk(): void {
    const { size } = this.#distances;
    this.#visited.fill(0);
    let place = Math.floor(this.#random.next() * size);
    for (let at = 0; at < size; at++) {
      this.#tour[at] = place;
      this.#visited[place] = 1;
      if (at + 1 < size) place = this.#nextFrom(place);
    }
  }

  #nextFrom(place: number): number {
    let count = 0;
    const first = place * this.#nearestCount;
    for (let at = first; at < first + this.#nearestCount; at++) {
      const to = this.#nearest[at] ?? 0;
      if (this.#visited[to] === 1) continue;
      this.#open[count] = to;
      this.#weights[count++] = this.#pulls[at] ?? 0;
    }
    const drawn = draw(this.#weights, count, this.#options.exploration, this.#random);
    return drawn === undefined ? this.#nearestOpen(place) : (this.#open[drawn.index] ?? 0);
  }

  /** All candidates were visited: the strongest pull of all others. */
  #nearestOpen(place: number): number {
    let best = 0;
    let most = -1;
    for (let to = 0; to < this.#distances.size; to++) {
      if (this.#visited[to] === 1) continue;
      const pheromone = this.#trails.level(place, to, this.#iteration);
      const pull =
        pheromone ** this.#options.alpha * this.#distances.visibility(place, to, this.#options);
      if (pull <= most) continue;
      most = pull;
      best = to;
    }
    return best;
  }
}

/** What a tour deposits on each of its steps. Places that all coincide are a tour too. */
function qualityOf(length: number): number {
  return 1 / Math.max(length, 1e-9);
}
