import type { PeerId } from "../../platform/signer.ts";

/** Of all validators together; sums of powers and of priorities stay exact far beyond it. */
export const POWER_TOTAL_MAX = 2 ** 40;
/** A committee is small; this bounds what one round can cost. */
export const VALIDATORS_MAX = 256;

/** One voice, and how much it weighs. */
export interface Validator {
  readonly id: PeerId;
  /** Voting power, a positive integer. */
  readonly power: number;
}

/** Who votes at one height. Immutable. */
export class ValidatorSet {
  /** In the order of their names, so that everybody lists them alike. */
  readonly all: readonly Validator[];
  readonly totalPower: number;
  readonly #powers: ReadonlyMap<PeerId, number>;

  /** @throws RangeError for no validator or too many, a repeated one, and a power that is out of range */
  constructor(validators: Iterable<Validator>) {
    this.all = [...validators].sort((one, other) => (one.id < other.id ? -1 : 1));
    const { length } = this.all;
    if (length === 0 || length > VALIDATORS_MAX)
      throw new RangeError(`a set has 1 to ${VALIDATORS_MAX} validators, not ${length}`);
    this.#powers = new Map(this.all.map(({ id, power }) => [id, power]));
    if (this.#powers.size < length) throw new RangeError("a validator is in the set twice");
    for (const { id, power } of this.all)
      if (!Number.isSafeInteger(power) || power <= 0)
        throw new RangeError(`the power of ${id} is ${power}, and has to be a positive integer`);
    this.totalPower = this.all.reduce((sum, { power }) => sum + power, 0);
    if (this.totalPower > POWER_TOTAL_MAX)
      throw new RangeError(`a set has at most ${POWER_TOTAL_MAX} power, not ${this.totalPower}`);
  }

  has(id: PeerId): boolean {
    return this.#powers.has(id);
  }

  /** @returns 0 for somebody who has no vote */
  powerOf(id: PeerId): number {
    return this.#powers.get(id) ?? 0;
  }

  /** More than 2/3: two of these share an honest validator. */
  isQuorum(power: number): boolean {
    return 3 * power > 2 * this.totalPower;
  }

  /** More than 1/3: an honest validator is among them. */
  hasHonest(power: number): boolean {
    return 3 * power > this.totalPower;
  }
}
