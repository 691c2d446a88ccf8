/** When a reading was taken, as the device knew it. */
export interface ReadingMoment {
  /** Wall clock, ms since 1970. */
  readonly observedAtMs: number;
  /** Whether the wall clock could be trusted then. */
  readonly observedAtTrusted: boolean;
  readonly monotonicMs: number;
  /** Monotonic times compare within one boot. */
  readonly bootId: string;
}

/** Readings from one moment on turned out to have been taken that much later. */
export interface ClockMove {
  readonly fromMs: number;
  readonly byMs: number;
}

interface ClockSettings {
  /** Step of the grid: moves are by whole ones. */
  readonly everyMs: number;
  /** Not below a step: the wall clock may differ by so much before it is followed. */
  readonly toleranceMs: number;
  /** What is left open where nobody knows how long it was. */
  readonly gapMs: number;
}

/**
 * Places readings on one axis of time, by the wall clock where it can be trusted and by the monotonic one otherwise.
 * A Pi without a battery-backed clock wakes in 1970 and jumps when it hears of the real time. Rules:
 *
 * - Within a boot a reading lies as far behind another as the monotonic clock says, so that no jump tears a window apart.
 * - A wall clock that leaps ahead is followed: what lies between is a gap. When it is the first that can be trusted in a boot, readings
 *   of that boot move along, see {@link takeMove}: now their time is known.
 * - One that goes back is not, since a history has to ascend: until the next boot, times are ahead of it. `jumps` tells.
 * - After a boot without a wall clock that can be trusted, time goes on one gap behind the newest reading.
 */
export class StreamClock {
  readonly #everyMs: number;
  readonly #toleranceMs: number;
  readonly #gapMs: number;
  #bootId: string | undefined;
  /** What the axis is ahead of the monotonic clock. */
  #aheadMs = 0;
  /** Whether the wall clock of this boot was trusted once. */
  #isAnchored = false;
  #bootBeganMs = 0;
  #move: ClockMove | undefined;
  #refusedMs = Number.NaN;
  #newestMs = Number.NEGATIVE_INFINITY;
  #jumps = 0;

  constructor({ everyMs, toleranceMs, gapMs }: ClockSettings) {
    this.#everyMs = everyMs;
    this.#toleranceMs = toleranceMs;
    this.#gapMs = gapMs;
  }

  /** How often the wall clock disagreed with what was known of it. */
  get jumps(): number {
    return this.#jumps;
  }

  /** Goes on behind what was recorded up to then. */
  resume(newestMs: number): void {
    this.#newestMs = Math.max(this.#newestMs, newestMs);
  }

  /** @returns a move that {@link place} made necessary, once */
  takeMove(): ClockMove | undefined {
    const move = this.#move;
    this.#move = undefined;
    return move;
  }

  /** @returns milliseconds on the axis, from 0 on; undefined for a moment that is none */
  place(moment: ReadingMoment): number | undefined {
    const { observedAtMs, observedAtTrusted, monotonicMs, bootId } = moment;
    if (!Number.isFinite(monotonicMs)) return undefined;
    const isTrusted = observedAtTrusted && isWallTime(observedAtMs);
    if (bootId === this.#bootId) {
      if (isTrusted) this.#compare(observedAtMs - monotonicMs);
    } else {
      this.#bootId = bootId;
      this.#refusedMs = Number.NaN;
      this.#begin(isTrusted ? observedAtMs : undefined, moment);
    }
    const placedMs = Math.max(0, monotonicMs + this.#aheadMs);
    this.#newestMs = Math.max(this.#newestMs, placedMs);
    return placedMs;
  }

  #begin(trustedMs: number | undefined, { observedAtMs, monotonicMs }: ReadingMoment): void {
    const isFirst = this.#newestMs === Number.NEGATIVE_INFINITY;
    const fallbackMs = isFirst && isWallTime(observedAtMs) ? observedAtMs : monotonicMs;
    let beginMs = trustedMs ?? (isFirst ? fallbackMs : this.#newestMs + this.#gapMs);
    if (trustedMs !== undefined && trustedMs < this.#newestMs - this.#toleranceMs) {
      this.#jumps++;
      beginMs = this.#newestMs + this.#gapMs;
    }
    this.#aheadMs = beginMs - monotonicMs;
    this.#bootBeganMs = beginMs;
    this.#isAnchored = trustedMs !== undefined;
  }

  #compare(wallAheadMs: number): void {
    const leapMs = wallAheadMs - this.#aheadMs;
    if (Math.abs(leapMs) <= this.#toleranceMs) {
      this.#isAnchored = true;
    } else if (leapMs > 0) {
      this.#jumps++;
      if (this.#isAnchored) this.#aheadMs = wallAheadMs;
      else this.#moveBoot(leapMs);
    } else if (!(Math.abs(wallAheadMs - this.#refusedMs) <= this.#toleranceMs)) {
      this.#jumps++;
      this.#refusedMs = wallAheadMs;
    }
  }

  #moveBoot(leapMs: number): void {
    const byMs = Math.floor(leapMs / this.#everyMs) * this.#everyMs;
    this.#move = { fromMs: this.#bootBeganMs, byMs };
    this.#aheadMs += byMs;
    this.#newestMs += byMs;
    this.#isAnchored = true;
  }
}

/** Years 1970 to 9999. */
function isWallTime(ms: number): boolean {
  return ms >= 0 && ms < 253_402_300_800_000;
}
