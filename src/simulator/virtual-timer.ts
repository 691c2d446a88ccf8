import type { Timer } from "../platform/clock.ts";

/** Where a timer waits. */
interface Waitlist {
  /** One of those that wait never fires. */
  cancelled(): void;
}

/** A timer of virtual time: one object and no closures, since a large world has hundreds of thousands of them. */
export abstract class VirtualTimer implements Timer {
  readonly name: string;
  readonly #waitlist: Waitlist;
  /** Kept by the clock: it was started, and has neither fired nor been cancelled. */
  waiting = false;

  constructor(waitlist: Waitlist, name: string) {
    this.#waitlist = waitlist;
    this.name = name;
  }

  cancel(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.#waitlist.cancelled();
  }

  /** Its time has come. */
  abstract fire(): void;
}
