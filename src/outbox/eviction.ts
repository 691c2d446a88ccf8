import type { KeyValueStore } from "../platform/key-value-store.ts";
import { laneEnd, parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { PendingAppend } from "./numbering.ts";
import type { OutboxOptions } from "./options.ts";

/** What had to give way. */
export interface Shed {
  readonly ordinals: Set<number>;
  readonly keys: string[];
  bytes: number;
}

const PAGE = 256;
const PAGE_BYTES_MAX = 1024 * 1024;

/**
 * Makes room for what comes in by the configured policy. Updates that are leased are on their way out and
 * stay, so that there may be less room than was wanted. @throws StoreError
 *
 * @param shed is filled as updates leave the books, while their keys are still on disk
 */
export async function evict(
  ledger: Ledger,
  store: KeyValueStore,
  options: Pick<OutboxOptions, "bytesMax" | "evict">,
  incoming: readonly PendingAppend[],
  isRemoved: (ordinal: number) => boolean,
  shed: Shed,
): Promise<void> {
  const growth = incoming.reduce((sum, { bytes }) => sum + bytes, 0);
  const priorityMax = incoming.reduce((max, { draft }) => Math.max(max, draft.priority), 0);
  const isOver = (): boolean => ledger.bytes + growth > options.bytesMax;
  while (incoming.length > 0 && isOver()) {
    const lane = laneToShed(ledger, priorityMax, options.evict);
    if (lane === undefined) return;
    const { rewinds } = lane;
    const page = await store.range({
      gte: updateKey(lane.priority, lane.cursor),
      lt: laneEnd(lane.priority),
      limit: PAGE,
      bytesMax: PAGE_BYTES_MAX,
    });
    if (rewinds !== lane.rewinds) continue;
    if (page.length === 0) return;
    for (const [key, value] of page) {
      const { ordinal } = parseUpdateKey(key);
      // Leased while the disk was being read.
      if (ordinal < lane.cursor) continue;
      lane.cursor = ordinal + 1;
      // Out of the books already.
      if (isRemoved(ordinal)) continue;
      const size = key.length + value.length;
      lane.shedding = true;
      lane.remove(ordinal, size);
      lane.dropCachedUpTo(ordinal);
      shed.ordinals.add(ordinal);
      shed.keys.push(key);
      shed.bytes += size;
      if (!isOver()) return;
    }
  }
}

/** @returns whether something in the lane may be dropped for an update of `priority`. */
export function givesWay(lane: Lane, priority: number, policy: OutboxOptions["evict"]): boolean {
  if (policy === "reject" || lane.available === 0) return false;
  return policy === "drop-oldest" || lane.priority <= priority;
}

function laneToShed(
  ledger: Ledger,
  priority: number,
  policy: OutboxOptions["evict"],
): Lane | undefined {
  const candidates = ledger.lanes.filter((lane) => givesWay(lane, priority, policy));
  // Lanes stand from priority 0 upwards.
  if (policy === "drop-lowest-priority") return candidates[0];
  return candidates.reduce<Lane | undefined>(
    (oldest, lane) => (oldest === undefined || lane.cursor < oldest.cursor ? lane : oldest),
    undefined,
  );
}
