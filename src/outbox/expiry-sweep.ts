import type { Timer } from "../platform/clock.ts";
import { entriesOf, readBlock } from "./block-reader.ts";
import type { Entry } from "./entry.ts";
import { isExpired } from "./expiry.ts";
import { LANES, updateKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import type { Removals } from "./removals.ts";

const INTERVAL_MS = 30_000;
const BLOCKS_MAX = 256;
/** A device may have less memory than so many large blocks. */
const BYTES_MAX = 1024 * 1024;

/** What an {@link ExpirySweep} works with. */
interface SweepParts extends OutboxParts {
  /** The books as they are now. */
  readonly ledger: () => Ledger;
  readonly removals: Removals;
}

/** Walks over the queue piece by piece, so that what has expired goes even when nothing is sent. */
export class ExpirySweep {
  readonly #parts: SweepParts;
  #timer: Timer | undefined;
  #stopped = false;
  #from: { readonly priority: number; readonly ordinal: number } = {
    priority: LANES - 1,
    ordinal: 0,
  };

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#stopped) return;
    const { clock, logger } = this.#parts;
    this.#timer = clock.setTimer("outbox.sweep", INTERVAL_MS, () => {
      this.#sweep()
        .catch((error: unknown) =>
          logger.warn("could not look for expired updates", { reason: String(error) }),
        )
        .finally(() => this.start());
    });
  }

  /** A sweep that is under way is the last one. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    const { clock, store, agentId, ledger, removals } = this.#parts;
    const isOut = (entry: Entry): boolean => isExpired(entry, clock);
    for (const lane of ledger().lanes) removals.expireReady(lane, isOut);
    const { priority, ordinal } = this.#from;
    const lane = ledger().lane(priority);
    const from = Math.max(ordinal, lane.unread);
    const { generation, end } = lane;
    const page =
      from >= end
        ? []
        : await store.range({
            gte: updateKey(priority, from),
            lt: updateKey(priority, end),
            limit: BLOCKS_MAX,
            bytesMax: BYTES_MAX,
          });
    // What was read may be out of date by now; the next sweep looks again.
    if (lane !== ledger().lane(priority) || generation !== lane.generation || lane.shedding) return;
    let next = from;
    for (const stored of page) {
      const found = readBlock(stored, lane);
      next = found.until;
      // It came into memory while the page was read.
      if (found.block.first < lane.unread) continue;
      const entries = entriesOf(found, ledger(), agentId) ?? [];
      if (entries.length > 0 && entries.every(isOut)) removals.expireBlock(lane, found);
    }
    if (page.length > 0) this.#from = { priority, ordinal: next };
    else this.#from = { priority: priority === 0 ? LANES - 1 : priority - 1, ordinal: 0 };
  }
}
