/** Everything that a world of the hunt lets go wrong. */
export const FAULTS = [
  "loss",
  "duplication",
  "reordering",
  "delay",
  "partition",
  "one-way-partition",
  "crash",
  "power-loss",
  "torn-write",
  "failed-write",
  "slow-disk",
  "slow-member",
  "clock-skew",
  "stall",
  "transfer",
  "membership",
  "snapshot",
  "lie",
] as const;

/** See {@link FAULTS}. */
export type Fault = (typeof FAULTS)[number];

/** Counts what goes wrong, and keeps some of it from going wrong, so that a failure can be told in fewer words. */
export class Faults {
  readonly counts = new Map<Fault, number>();
  readonly #without: ReadonlySet<string>;

  constructor(without: ReadonlySet<string> = new Set()) {
    this.#without = without;
  }

  /** @param isDrawn what chance has said: drawn in any case, so that everything else stays as it is */
  happens(fault: Fault, isDrawn: boolean): boolean {
    if (!isDrawn || this.#without.has(fault)) return false;
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    return true;
  }
}
