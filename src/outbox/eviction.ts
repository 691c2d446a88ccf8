import type { KeyValueStore } from "../platform/key-value-store.ts";
import { laneEnd, parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { NumberedUpdate } from "./numbering.ts";
import type { OutboxOptions } from "./options.ts";

/** What had to give way. */
export interface Shed {
  readonly keys: readonly string[];
  readonly bytes: number;
}

const PAGE = 256;

/**
 * Makes room for what comes in by the configured policy. Updates that are leased are on their way out and
 * stay. @throws StoreError
 */
export async function evict(
  ledger: Ledger,
  store: KeyValueStore,
  options: Pick<OutboxOptions, "bytesMax" | "evict">,
  incoming: readonly NumberedUpdate[],
  isRemoved: (ordinal: number) => boolean,
): Promise<Shed> {
  const keys: string[] = [];
  const growth = incoming.reduce((sum, { queued }) => sum + queued.bytes, 0);
  const priorityMax = incoming.reduce(
    (max, { queued }) => Math.max(max, queued.update.priority),
    0,
  );
  const goal = ledger.bytes + growth - options.bytesMax;
  let bytes = 0;
  // `reject` refuses at the door; what it let in together may overshoot by one batch.
  while (bytes < goal && incoming.length > 0) {
    const lane = laneToShed(ledger, priorityMax, options.evict);
    if (lane === undefined) break;
    const page = await store.range({
      gte: updateKey(lane.priority, lane.cursor),
      lt: laneEnd(lane.priority),
      limit: PAGE,
    });
    if (page.length === 0) break;
    for (const [key, value] of page) {
      const { ordinal } = parseUpdateKey(key);
      // Leased while the disk was being read, or out of the books already.
      if (ordinal < lane.cursor || isRemoved(ordinal)) continue;
      if (bytes >= goal) break;
      const size = key.length + value.length;
      lane.remove(ordinal, size);
      lane.dropCachedUpTo(ordinal);
      lane.cursor = ordinal + 1;
      keys.push(key);
      bytes += size;
    }
  }
  return { keys, bytes };
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
