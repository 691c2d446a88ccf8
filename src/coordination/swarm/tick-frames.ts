import type { PeerId } from "../../platform/signer.ts";

/** This agent's own first tick: far enough from 0 for all that was deposited before it began. */
export const FIRST_TICK = 2 ** 31;
/** So much may the frame of a neighbour be wrong before it is set right: words take a while, and are cut to whole ticks. */
const SLACK_TICKS = 2;
/** After so many ticks a frame that is known from hearsay is found out anew, since steady clocks drift apart. */
const HEARSAY_TICKS = 8_640;

/** When something was deposited, as its agent counts. */
export interface ForeignTick {
  readonly origin: PeerId;
  /** Starts of the agent. */
  readonly epoch: number;
  /** Ticks since that start. */
  readonly tick: number;
}

interface Frame {
  readonly epoch: number;
  /** To be added to its ticks. */
  readonly offset: number;
  readonly isDirect: boolean;
  readonly foundAtTick: number;
}

/**
 * Whose ticks are which of this agent's. No clock is shared, and none needs to be right: each agent counts ticks by its
 * steady clock, and how long ago something was deposited is told along with it. By the first such age the frame of its
 * agent is found, and the same deposit means the same tick from then on, whichever way it comes; so comparing ticks never
 * depends on how long a way took. An age that the agent tells itself counts more than what others tell of it.
 */
export class TickFrames {
  readonly #frames = new Map<PeerId, Frame>();
  readonly #framesMax: number;

  /** @param framesMax agents that are told apart; those that were heard of longest ago give way */
  constructor(framesMax: number) {
    this.#framesMax = framesMax;
  }

  get size(): number {
    return this.#frames.size;
  }

  /**
   * @param ageTicks how long ago that was, as the teller reckons
   * @param isDirect the agent tells of itself
   * @returns the tick of this agent's; undefined for one of before the latest start of its agent that is known
   */
  toOwn(
    { origin, epoch, tick }: ForeignTick,
    ageTicks: number,
    nowTick: number,
    isDirect: boolean,
  ): number | undefined {
    const known = this.#frames.get(origin);
    if (known !== undefined && known.epoch > epoch) return undefined;
    const told: Frame = {
      epoch,
      offset: nowTick - ageTicks - tick,
      isDirect,
      foundAtTick: nowTick,
    };
    const frame = known?.epoch === epoch ? better(known, told) : told;
    // Put last again: it was heard of just now.
    this.#frames.delete(origin);
    this.#frames.set(origin, frame);
    if (this.#frames.size > this.#framesMax)
      for (const oldest of this.#frames.keys()) {
        this.#frames.delete(oldest);
        break;
      }
    return tick + frame.offset;
  }
}

function better(known: Frame, told: Frame): Frame {
  if (told.isDirect)
    return known.isDirect && Math.abs(told.offset - known.offset) < SLACK_TICKS ? known : told;
  const isOld = told.foundAtTick - known.foundAtTick > HEARSAY_TICKS;
  return !known.isDirect && isOld ? told : known;
}
