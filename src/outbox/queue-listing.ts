import type { KeyValueStore } from "../platform/key-value-store.ts";
import { entriesOf, readBlock } from "./block-reader.ts";
import { blockStart } from "./block-search.ts";
import { LANES, laneEnd, parseUpdateKey, updateKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Update } from "./update.ts";
import type { QueuePage } from "./view.ts";

const SCAN_MAX = 5_000;
const PAGE_BLOCKS = 64;
/** Pages are read by count and by size: a device may have less memory than a page of large updates. */
const PAGE_BYTES_MAX = 1024 * 1024;

/** What is listed. */
export interface Listed {
  readonly store: KeyValueStore;
  readonly agentId: string;
  /** The books as they are now. */
  readonly ledger: () => Ledger;
}

/**
 * Looks through what is queued on disk, in order of delivery.
 * @returns a page that ends after `limit` updates, or where it has looked for long enough @throws StoreError
 */
export async function listQueue(
  { store, agentId, ledger }: Listed,
  options: { readonly cursor?: string; readonly limit: number; readonly stream?: string },
): Promise<QueuePage> {
  const updates: Update[] = [];
  const { priority: from, ordinal } = parseUpdateKey(options.cursor ?? updateKey(LANES - 1, 0));
  let next = ordinal;
  let scanned = 0;
  for (let priority = from; priority >= 0; priority--) {
    const lane = ledger().lane(priority);
    let gte = await blockStart(store, priority, next);
    for (;;) {
      const range = { gte, lt: laneEnd(priority), limit: PAGE_BLOCKS, bytesMax: PAGE_BYTES_MAX };
      const page = await store.range(range);
      if (page.length === 0) break;
      for (const stored of page) {
        const found = readBlock(stored, lane);
        gte = updateKey(priority, found.until);
        for (const entry of entriesOf(found, ledger(), agentId) ?? []) {
          if (entry.ordinal < next) continue;
          scanned++;
          if (options.stream === undefined || entry.stream === options.stream) updates.push(entry);
          if (updates.length === options.limit || scanned === SCAN_MAX)
            return { updates, cursor: updateKey(priority, entry.ordinal + 1) };
        }
      }
    }
    next = 0;
  }
  return { updates };
}
