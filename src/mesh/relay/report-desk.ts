import type { Clock, Timer } from "../../platform/clock.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Guest } from "./guest.ts";
import type { Refusal } from "./host-desk.ts";
import type { Way } from "./offer.ts";
import { encodeAnswer, tell } from "./relay-codec.ts";

/** A question is answered after so long, news or not: that is how a guest knows that somebody is there. */
const PATIENCE_MS = 15_000;
/** What is delivered shortly after each other is told together. */
const GATHER_MS = 5;

interface Waiting {
  readonly guest: Guest;
  readonly timer: Timer;
  answer(bytes: Uint8Array): void;
}

/** Guests that wait to hear what has been delivered: one question of each. */
export class ReportDesk {
  readonly #clock: Clock;
  readonly #way: () => Way;
  readonly #waiting = new Map<PeerId, Waiting>();
  readonly #gathering = new Set<PeerId>();

  constructor(clock: Clock, way: () => Way) {
    this.#clock = clock;
    this.#way = way;
  }

  /** @returns the answer, once there is something to tell */
  poll(guest: Guest): Promise<Uint8Array> {
    this.leave(guest.peer);
    if (guest.hasNews || this.#way().withdrawn !== undefined)
      return Promise.resolve(this.#report(guest));
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer("relay.report", PATIENCE_MS, () => this.#tell(guest.peer));
      this.#waiting.set(guest.peer, { guest, timer, answer: resolve });
    });
  }

  /** Something of the guest has been delivered. */
  news(peer: PeerId): void {
    if (!this.#waiting.has(peer) || this.#gathering.has(peer)) return;
    this.#gathering.add(peer);
    this.#clock.setTimer("relay.report-soon", GATHER_MS, () => {
      this.#gathering.delete(peer);
      this.#tell(peer);
    });
  }

  /** Everybody is to hear of another way, or that there is none. */
  offerChanged(): void {
    for (const peer of this.#waiting.keys()) this.#tell(peer);
  }

  /** The guest does not wait any more, or its session is over. */
  leave(peer: PeerId, refusal?: Refusal): void {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) return;
    this.#waiting.delete(peer);
    waiting.timer.cancel();
    waiting.answer(
      refusal === undefined
        ? encodeAnswer({ case: "report", value: {} })
        : encodeAnswer({ case: "refusal", value: { ...refusal } }),
    );
  }

  #tell(peer: PeerId): void {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) return;
    this.#waiting.delete(peer);
    waiting.timer.cancel();
    waiting.answer(this.#report(waiting.guest));
  }

  #report(guest: Guest): Uint8Array {
    const { route, passedMax, withdrawn } = this.#way();
    const { marks, dead, left } = tell(guest.takeNews());
    for (const progress of left) guest.remind(progress);
    const value = {
      number: guest.reported(dead),
      marks: [...marks],
      route: [...route],
      passedMax,
    };
    return encodeAnswer({
      case: "report",
      value: withdrawn === undefined ? value : { ...value, withdrawn: { ...withdrawn } },
    });
  }
}
