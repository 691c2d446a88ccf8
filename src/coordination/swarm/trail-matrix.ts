import { Evaporation } from "./evaporation.ts";

/** Trails between numbered places, within limits, that evaporate by arithmetic as those of a map do. */
export class TrailMatrix {
  readonly #size: number;
  readonly #evaporation: Evaporation;
  readonly #amounts: Float64Array;
  readonly #ticks: Int32Array;
  #least = 0;
  #most = 0;

  /** @throws RangeError for a decay outside 0 … 1 */
  constructor(size: number, decayPerTick: number) {
    this.#size = size;
    this.#evaporation = new Evaporation(decayPerTick);
    this.#amounts = new Float64Array(size * size);
    this.#ticks = new Int32Array(size * size);
  }

  /** Nothing is on any trail below or above these from now on. */
  limit(least: number, most: number): void {
    this.#least = least;
    this.#most = most;
  }

  /** Puts every trail at its upper limit: all are worth trying. */
  fill(tick: number): void {
    this.#amounts.fill(this.#most);
    this.#ticks.fill(tick);
  }

  level(from: number, to: number, tick: number): number {
    const at = from * this.#size + to;
    const amount = this.#amounts[at] ?? 0;
    const left = amount * this.#evaporation.keptAfter(tick - (this.#ticks[at] ?? 0));
    return Math.min(Math.max(left, this.#least), this.#most);
  }

  /** Deposits along a closed tour, in both directions. */
  deposit(tour: ArrayLike<number>, amount: number, tick: number): void {
    let from = tour[tour.length - 1] ?? 0;
    for (let at = 0; at < tour.length; at++) {
      const to = tour[at] ?? 0;
      const level = Math.min(this.level(from, to, tick) + amount, this.#most);
      this.#set(from * this.#size + to, level, tick);
      this.#set(to * this.#size + from, level, tick);
      from = to;
    }
  }

  #set(at: number, level: number, tick: number): void {
    this.#amounts[at] = level;
    this.#ticks[at] = tick;
  }
}
