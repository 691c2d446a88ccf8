import type { Agreement } from "./agreement.ts";
import { makeBatch } from "./batch.ts";
import type { Log } from "./log.ts";
import type { Self } from "./self.ts";
import type { Turn } from "./turn.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** What the proposer is made of. */
export interface ProposerParts {
  readonly self: Self;
  readonly log: Log;
  readonly waiting: WaitingRequests;
  readonly agreement: Agreement;
}

/**
 * The primary's part: gives waiting requests their sequence numbers. A few batches are under way at once; what comes meanwhile
 * gathers into the next one, so that batches grow with the load (Castro and Liskov, TOCS 2002, section 5.1.4).
 */
export class Proposer {
  readonly #parts: ProposerParts;
  #next = 1;

  constructor(parts: ProposerParts) {
    this.#parts = parts;
  }

  /** This replica's view has begun: everything that waits is to be proposed, but for what the view began with. */
  begin(view: number, proposedUpTo: number): void {
    const { log, waiting } = this.#parts;
    this.#next = Math.max(log.low, proposedUpTo) + 1;
    const proposed = new Set<string>();
    for (const { accepted, sequence } of log.slots()) {
      if (accepted?.vote.view !== view) continue;
      this.#next = Math.max(this.#next, sequence + 1);
      for (const { client, timestamp } of accepted.batch?.requests ?? [])
        proposed.add(`${timestamp}/${client}`);
    }
    waiting.requeue(({ client, timestamp }) => proposed.has(`${timestamp}/${client}`));
  }

  /** Proposes as many batches as may be under way. */
  propose(turn: Turn, executed: number): void {
    const { self, log, waiting, agreement } = this.#parts;
    while (this.#next <= log.high && this.#next - executed <= self.options.inFlightMax) {
      const requests = waiting.takeBatch();
      if (requests.length === 0) return;
      agreement.propose(turn, this.#next, makeBatch(self.hasher, requests));
      this.#next++;
    }
  }
}
