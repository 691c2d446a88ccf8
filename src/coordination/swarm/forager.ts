import type { Random } from "../../platform/random.ts";
import { attraction, type Draw, draw } from "./choice-rule.ts";
import { type ChoiceOptions, PHEROMONE_FLOOR } from "./options.ts";
import type { PheromoneMap } from "./pheromone-map.ts";

/** One thing that a forager can do. */
export interface TrailOption {
  readonly trail: string;
  /** How good it looks without any trail, above 0; for example one over its cost. */
  readonly heuristic: number;
}

/** What a forager is made of. */
export interface ForagerParts {
  readonly map: PheromoneMap;
  readonly random: Random;
  readonly options: ChoiceOptions;
}

/**
 * Perceives, chooses, acts and tells: an agent that works by trails alone. What it found good it strengthens, in
 * proportion to how good it was; others smell that and come (stigmergy).
 */
export class Forager {
  readonly #map: PheromoneMap;
  readonly #random: Random;
  readonly #options: ChoiceOptions;
  #weights = new Float64Array(16);

  constructor({ map, random, options }: ForagerParts) {
    this.#map = map;
    this.#random = random;
    this.#options = options;
  }

  /** Smells what is on the trails. @returns levels in the order of the options */
  perceive(options: readonly TrailOption[], tick: number): number[] {
    return options.map(({ trail }) => this.#map.level(trail, tick));
  }

  /**
   * Chooses one of the options.
   * @returns undefined when there are none
   * @throws RangeError for a heuristic that is not above 0
   */
  choose(options: readonly TrailOption[], tick: number): Draw | undefined {
    if (this.#weights.length < options.length) this.#weights = new Float64Array(2 * options.length);
    for (const [at, { trail, heuristic }] of options.entries()) {
      if (!(heuristic > 0)) throw new RangeError(`heuristic of '${trail}' has to be above 0`);
      const pheromone = PHEROMONE_FLOOR + this.#map.level(trail, tick);
      this.#weights[at] = attraction(pheromone, heuristic, this.#options);
    }
    return draw(this.#weights, options.length, this.#options.exploration, this.#random);
  }

  /**
   * Strengthens the trails that led to something.
   * @param quality how good it was, above 0; a bad end is told by telling nothing
   */
  reinforce(trails: Iterable<string>, quality: number, tick: number): void {
    for (const trail of trails) this.#map.deposit(trail, quality, tick);
  }
}
