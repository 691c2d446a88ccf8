import type { KeyValueStore } from "../platform/key-value-store.ts";
import { recordBytesMax } from "./block-codec.ts";
import { readBlock } from "./block-reader.ts";
import type { Entry } from "./entry.ts";
import { laneEnd, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxOptions } from "./options.ts";
import { noteShed, type Shed } from "./shed.ts";
import type { Thinning } from "./thinning.ts";

const PAGE = 64;
const PAGE_BYTES_MAX = 256 * 1024;

/** What is needed to make room. */
export interface EvictionParts {
  readonly ledger: Ledger;
  readonly store: KeyValueStore;
  readonly options: Pick<OutboxOptions, "bytesMax" | "evict">;
  readonly thinning: Thinning;
}

/**
 * Makes room for what comes in, as `outbox.evict` says. What is leased is on its way out and stays, so that
 * there may be less room than was wanted.
 *
 * @param shed is filled as updates leave the books, while their blocks are still on disk
 * @returns whether a further commit could make more room
 * @throws StoreError
 */
export async function evict(
  parts: EvictionParts,
  incoming: readonly Entry[],
  shed: Shed,
): Promise<boolean> {
  const { ledger, options, thinning } = parts;
  if (incoming.length === 0) return false;
  let growth = 0;
  let smallest = Number.POSITIVE_INFINITY;
  let priorityMax = 0;
  for (const entry of incoming) {
    const bytes = recordBytesMax(entry);
    growth += bytes;
    smallest = Math.min(smallest, bytes);
    priorityMax = Math.max(priorityMax, entry.priority);
  }
  if (ledger.bytes + growth <= options.bytesMax) return false;
  const giving = ledger.lanes.filter((lane) => givesWay(lane, priorityMax, options.evict));
  // What may be dropped must not be leased meanwhile.
  for (const lane of giving) lane.shedding = true;
  const givesBytes = giving.reduce((sum, lane) => sum + lane.evictableBytes, 0);
  // Nothing is dropped in vain.
  if (ledger.bytes - givesBytes + smallest > options.bytesMax) return false;
  /** Lanes of which nothing more can be had. */
  const spent = new Set<Lane>();
  while (ledger.bytes + growth > options.bytesMax) {
    const lane = laneToShed(ledger, priorityMax, options.evict, spent);
    if (lane === undefined) return false;
    const wantedBytes = ledger.bytes + growth - options.bytesMax;
    const { generation } = lane;
    const thinned = options.evict === "thin" ? await thinning.thin(lane, ledger, shed) : "nothing";
    if (thinned === "later") return true;
    const made =
      thinned === "made" ||
      dropReady(lane, shed) ||
      (await dropFromDisk(parts, lane, wantedBytes, shed));
    // Something else happened to the lane while the disk was read: look again.
    if (!made && lane.generation === generation) spent.add(lane);
  }
  return false;
}

/** @returns whether something in the lane may be dropped for an update of `priority`. */
export function givesWay(lane: Lane, priority: number, policy: OutboxOptions["evict"]): boolean {
  if (policy === "reject" || lane.available === 0) return false;
  if (lane.isRead && lane.evictable === undefined) return false;
  return policy !== "drop-lowest-priority" || lane.priority <= priority;
}

function laneToShed(
  ledger: Ledger,
  priority: number,
  policy: OutboxOptions["evict"],
  spent: ReadonlySet<Lane>,
): Lane | undefined {
  const candidates = ledger.lanes.filter(
    (lane) => !spent.has(lane) && givesWay(lane, priority, policy),
  );
  // Lanes stand from priority 0 upwards.
  if (policy === "drop-lowest-priority") return candidates[0];
  return candidates.reduce<Lane | undefined>(
    (best, lane) => (best === undefined || oldestOf(lane) < oldestOf(best) ? lane : best),
    undefined,
  );
}

function oldestOf({ nextReady, unread }: Lane): number {
  return nextReady?.ordinal ?? unread;
}

function dropReady(lane: Lane, shed: Shed): boolean {
  const block = lane.evictable;
  if (block === undefined) return false;
  noteShed(lane, block, shed);
  lane.evict(block);
  return true;
}

async function dropFromDisk(
  { store }: EvictionParts,
  lane: Lane,
  wantedBytes: number,
  shed: Shed,
): Promise<boolean> {
  const { generation, end } = lane;
  const page = await store.range({
    gte: updateKey(lane.priority, lane.unread),
    lt: end === 0 ? laneEnd(lane.priority) : updateKey(lane.priority, end),
    limit: PAGE,
    bytesMax: PAGE_BYTES_MAX,
  });
  if (generation !== lane.generation) return true;
  let freed = 0;
  for (const stored of page) {
    const { block, until, header } = readBlock(stored, lane);
    lane.unread = until;
    // Out of the books already, and waiting to be deleted.
    if (shed.firsts.has(block.first) || (header !== undefined && block.live === 0)) continue;
    noteShed(lane, block, shed);
    lane.count -= block.live;
    lane.bytes -= block.bytes;
    freed += block.bytes;
    if (freed >= wantedBytes) break;
  }
  if (page.length > 0) lane.generation++;
  return page.length > 0;
}
