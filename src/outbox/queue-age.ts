import { readBlock } from "./block-reader.ts";
import { laneEnd, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";

const READ_GAP_MS = 1_000;

/** Tells how old the queue is. The oldest update may be on disk alone: then the answer is that of the last look. */
export class QueueAge {
  readonly #parts: Pick<OutboxParts, "clock" | "store" | "logger">;
  #oldestAtMs: number | undefined;
  #readMonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(parts: Pick<OutboxParts, "clock" | "store" | "logger">) {
    this.#parts = parts;
  }

  /** @returns when the oldest update was observed, ms since 1970; undefined while nothing is queued, or not known yet */
  oldestAtMs(ledger: Ledger): number | undefined {
    const head = ledger.lanes
      .filter((lane) => lane.count > 0)
      .reduce<Lane | undefined>((a, b) => (a === undefined || b.head < a.head ? b : a), undefined);
    if (head === undefined) this.#oldestAtMs = undefined;
    else if (head.oldest === undefined) this.#read(head);
    else this.#oldestAtMs = head.oldest.observedAtMs;
    return this.#oldestAtMs;
  }

  /** Reading the disk takes its time: the next look gets the answer. */
  #read(lane: Lane): void {
    const { clock, store, logger } = this.#parts;
    const { priority, unread } = lane;
    if (clock.monotonicMs() - this.#readMonotonicMs < READ_GAP_MS) return;
    this.#readMonotonicMs = clock.monotonicMs();
    store
      .range({ gte: updateKey(priority, unread), lt: laneEnd(priority), limit: 1 })
      .then(([entry]) => {
        if (entry !== undefined) this.#oldestAtMs = readBlock(entry, lane).header?.observedAtMs;
      })
      .catch((error: unknown) =>
        logger.debug("could not read the oldest update", { reason: String(error) }),
      );
  }
}
