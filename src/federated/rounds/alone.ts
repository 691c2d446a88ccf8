import type { RoundPace } from "./options.ts";

/** Without a new round for so many deadlines an agent takes itself to be cut off: candidates have taken over in vain. */
const CUT_OFF_DEADLINES = 3;
/** An agent trains so often alone, and no more: models that each went on from their own samples drift apart. */
export const ALONE_MAX = 8;

/**
 * When a trainer goes on alone: its word on the head is said, and no round has come of it for long, as on the side of a partition that has no
 * committee. What it comes to is told to nobody; the next head that it hears of finds it further, and its one word on that head
 * says how far (`docs/decisions/partitions.md`).
 */
export class Alone {
  readonly #deadlineMs: number;
  #times = 0;

  constructor({ deadlineMs }: Pick<RoundPace, "deadlineMs">) {
    this.#deadlineMs = deadlineMs;
  }

  /** @param learnedAtMs when the head was heard of @returns when it trains alone the next time; infinity for not any more */
  dueAtMs(learnedAtMs: number): number {
    if (this.#times >= ALONE_MAX) return Number.POSITIVE_INFINITY;
    return learnedAtMs + (CUT_OFF_DEADLINES + this.#times) * this.#deadlineMs;
  }

  /** It has trained alone. */
  trained(): void {
    this.#times++;
  }

  /** Something is wrong with it: it waits for the next head. */
  giveUp(): void {
    this.#times = ALONE_MAX;
  }

  /** There is a new head. */
  ended(): void {
    this.#times = 0;
  }
}
