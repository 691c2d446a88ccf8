import type { Log } from "./log.ts";
import type { Request } from "./request.ts";
import type { Turn } from "./turn.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/**
 * Watches that the primary gets done what this replica has waited for longest. The timer runs for one request until that one
 * is executed, so that a primary that serves only some clients is noticed as well (Castro and Liskov 1999, section 4.5.2).
 */
export class ProgressWatch {
  readonly #log: Log;
  readonly #waiting: WaitingRequests;
  /** A request, or a sequence number that somebody else's requests may have got. */
  #watched: Request | number | undefined;

  constructor(log: Log, waiting: WaitingRequests) {
    this.#log = log;
    this.#waiting = waiting;
  }

  /** Something is under way, or should be, that was not executed yet. */
  isWaiting(executed: number): boolean {
    return this.#waiting.size > 0 || this.#hasUnfinished(executed);
  }

  /** The timer runs. */
  get isOn(): boolean {
    return this.#watched !== undefined;
  }

  /** Another view, or another state: what was watched is watched anew. */
  restart(): void {
    this.#watched = undefined;
  }

  /**
   * Looks what to watch now, and starts the timer when that is something else than before.
   * @returns whether what was watched is done
   */
  look(turn: Turn, executed: number, timeoutMs: () => number): boolean {
    const before = this.#watched;
    const isDone =
      typeof before === "number"
        ? before <= executed
        : before !== undefined && this.#waiting.of(before.client) !== before;
    const now = this.#waiting.oldest ?? (this.#hasUnfinished(executed) ? executed + 1 : undefined);
    if (now === before) return false;
    this.#watched = now;
    if (now === undefined) turn.stop("progress");
    else turn.start("progress", timeoutMs());
    return isDone;
  }

  #hasUnfinished(executed: number): boolean {
    for (let sequence = executed + 1; sequence <= this.#log.highest; sequence++) {
      const slot = this.#log.get(sequence);
      if (slot?.accepted !== undefined || slot?.decided !== undefined) return true;
    }
    return false;
  }
}
