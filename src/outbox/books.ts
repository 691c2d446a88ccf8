import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import type { NumberedBlock } from "./entry.ts";
import { COUNTERS_KEY } from "./keys.ts";
import type { Lane } from "./lane.ts";

/** One lane in the books. */
export interface LaneBooks {
  readonly priority: number;
  /** Everything before it has left. */
  readonly head: number;
  readonly count: number;
  readonly bytes: number;
  /** The first ordinal of the block that `head` lies in. */
  readonly headBlock: number;
  /** What left behind `head`. */
  readonly gone: readonly number[];
}

/** The books as they lie on disk. */
export interface Books {
  readonly nextOrdinal: number;
  /** The store's generation that they hold for. */
  readonly generation: number;
  readonly lanes: readonly LaneBooks[];
  readonly deadLetters: readonly [nextOrdinal: number, count: number, bytes: number];
}

/** Version 0.1.0 wrote the first four. */
type LaneRow = readonly [
  priority: number,
  head: number,
  count: number,
  bytes: number,
  headBlock?: number,
  gone?: readonly number[],
];

interface Stored {
  readonly nextOrdinal: number;
  readonly generation?: number;
  readonly lanes: readonly LaneRow[];
  readonly deadLetters: Books["deadLetters"];
}

/** @returns undefined where there are none, or none that can be read: then everything is counted anew. */
export async function readBooks(store: KeyValueStore): Promise<Books | undefined> {
  const value = await store.get(COUNTERS_KEY);
  if (value === undefined) return undefined;
  try {
    const stored = JSON.parse(Buffer.from(value).toString("utf8")) as Stored;
    const lanes = stored.lanes.map(
      ([priority, head, count, bytes, headBlock = head, gone = []]) => ({
        priority,
        head,
        count,
        bytes,
        headBlock,
        gone: ordinalsOf(gone),
      }),
    );
    return { ...stored, generation: stored.generation ?? 0, lanes };
  } catch {
    return undefined;
  }
}

/** @returns the write of the books. */
export function writeBooks(books: Books): StoreOperation {
  const lanes = books.lanes.map(
    ({ priority, head, count, bytes, headBlock, gone }): LaneRow => [
      priority,
      head,
      count,
      bytes,
      headBlock,
      rangesOf(gone),
    ],
  );
  const stored: Stored = { ...books, lanes };
  return { type: "put", key: COUNTERS_KEY, value: Buffer.from(JSON.stringify(stored)) };
}

/** @returns the books as they are once `uncounted` is on disk too. */
export function booksOf(
  ledger: {
    readonly nextOrdinal: number;
    readonly generation: number;
    readonly lanes: readonly Lane[];
    readonly deadLetterNextOrdinal: number;
    readonly deadLetterCount: number;
    readonly deadLetterBytes: number;
  },
  uncounted: readonly NumberedBlock[],
): Books {
  const lanes = ledger.lanes.flatMap((lane) => {
    const { priority } = lane;
    const added = uncounted.filter(({ block }) => block.priority === priority);
    const [first] = added;
    const count = added.reduce((sum, { block }) => sum + block.live, lane.count);
    if (count === 0) return [];
    const bytes = added.reduce((sum, { block }) => sum + block.bytes, lane.bytes);
    // An empty lane's own place may be long past.
    const isEmpty = lane.count === 0 && first !== undefined;
    const head = isEmpty ? first.block.first : lane.head;
    const headBlock = isEmpty ? first.block.first : lane.headBlock;
    const gone = lane.prune().filter((ordinal) => ordinal >= head);
    return [{ priority, head, count, bytes, headBlock, gone }];
  });
  const { nextOrdinal, generation, deadLetterNextOrdinal, deadLetterCount, deadLetterBytes } =
    ledger;
  return {
    nextOrdinal,
    generation,
    lanes,
    deadLetters: [deadLetterNextOrdinal, deadLetterCount, deadLetterBytes],
  };
}

/** Ascending ordinals as first, length, first, length, … */
function rangesOf(ordinals: readonly number[]): number[] {
  const ranges: number[] = [];
  for (const ordinal of ordinals) {
    const at = ranges.length - 2;
    const [first = 0, length = 0] = ranges.slice(-2);
    if (ranges.length > 0 && ordinal === first + length) ranges[at + 1] = length + 1;
    else ranges.push(ordinal, 1);
  }
  return ranges;
}

function ordinalsOf(ranges: readonly number[]): number[] {
  const ordinals: number[] = [];
  for (let at = 0; at + 1 < ranges.length; at += 2) {
    const [first = 0, length = 0] = ranges.slice(at, at + 2);
    for (let offset = 0; offset < length; offset++) ordinals.push(first + offset);
  }
  return ordinals;
}
