/**
 * Evaporation by arithmetic: of an amount, `(1 − decay)^ticks` is left, so nothing has to be touched as time goes by. Half
 * of it is gone after `ln 0.5 / ln (1 − decay)` ticks; whoever deposits `d` every tick holds it at `d / decay`.
 */
export class Evaporation {
  readonly #kept: number;
  readonly #lnPerTick: number;

  /** @throws RangeError unless the decay is above 0 and below 1 */
  constructor(decayPerTick: number) {
    if (!(decayPerTick > 0 && decayPerTick < 1))
      throw new RangeError("decay per tick has to be above 0 and below 1");
    this.#kept = 1 - decayPerTick;
    this.#lnPerTick = -Math.log(this.#kept);
  }

  /** @returns the share that is left; all of it for a tick that is still to come */
  keptAfter(ticks: number): number {
    return ticks <= 0 ? 1 : this.#kept ** ticks;
  }

  /** @returns a number by which amounts of different ticks compare, at this and at any later tick */
  rankOf(amount: number, tick: number): number {
    return Math.log(amount) + tick * this.#lnPerTick;
  }

  /** @returns ticks until half is gone */
  get halfLifeTicks(): number {
    return Math.LN2 / this.#lnPerTick;
  }
}
