import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import type { StreamMarks } from "../platform/uplink-connection.ts";
import type { MarksRequest } from "../sync/marks-wire.ts";
import { type SequenceRange, SequenceRanges } from "../sync/sequence-ranges.ts";
import { encodeStreamRecord, marksKey, sequenceOf, updateKey, updatesEnd } from "./layout.ts";
import { parseTail } from "./stored-update.ts";
import { copyOf, pages, type StreamState, type StreamTable } from "./stream-table.ts";

/** What an agent's question about its marks changes, and the answer. */
export interface Settlement {
  readonly marks: ReadonlyMap<string, StreamMarks>;
  readonly states: readonly StreamState[];
  readonly operations: readonly StoreOperation[];
}

/**
 * Answers what there is of the streams asked about. Where the agent says which sequence it holds first, what is
 * missing below it will never come: it is noted as missing, and `through` goes up.
 * @throws StoreError
 */
export async function settle(
  { agent, streams }: MarksRequest,
  table: StreamTable,
  store: KeyValueStore,
): Promise<Settlement> {
  const marks = new Map<string, StreamMarks>();
  const states: StreamState[] = [];
  const operations: StoreOperation[] = [];
  for (const [stream, first] of streams) {
    const known = table.find(agent, stream);
    if (known === undefined) continue;
    if (known.unmarked === 0 && (first ?? 1) <= known.ranges.through + 1) {
      marks.set(stream, await marksOf(known, store));
      continue;
    }
    const { state, removals } = await settled(known, first ?? 1, store);
    marks.set(stream, await marksOf(state, store));
    states.push(state);
    const value = encodeStreamRecord(state);
    operations.push({ type: "put", key: marksKey(state.number), value }, ...removals);
  }
  return { marks, states, operations };
}

/** Also tells when the newest was observed: an agent that gives numbers twice knows its own by that. */
async function marksOf(
  { number, ranges }: StreamState,
  store: KeyValueStore,
): Promise<StreamMarks> {
  const marks = ranges.marks();
  const value = await store.get(updateKey(number, ranges.last));
  const lastObservedAtMs = value && parseTail(Buffer.from(value).toString("utf8"))?.observedAtMs;
  return lastObservedAtMs === undefined ? marks : { ...marks, lastObservedAtMs };
}

async function settled(
  known: StreamState,
  first: number,
  store: KeyValueStore,
): Promise<{ state: StreamState; removals: StoreOperation[] }> {
  const copy = copyOf(known);
  if (known.unmarked === 0)
    return { state: withMissing(copy, copy.ranges.settle(first)), removals: [] };
  // Some updates are known by the store alone: with them counted in, there may be room to say so.
  const all = known.ranges.clone(Number.POSITIVE_INFINITY);
  const places: { sequence: number; key: string; empty: boolean }[] = [];
  const range = {
    gte: updateKey(known.number, known.ranges.through + 1),
    lt: updatesEnd(known.number),
  };
  for await (const [key, value] of pages(store, range)) {
    const sequence = sequenceOf(key);
    if (all.add(sequence) === "added") places.push({ sequence, key, empty: value.length === 0 });
  }
  const missing = all.settle(first);
  const fits = all.rangeCount <= known.ranges.rangesMax;
  copy.ranges.settle(first);
  const ranges = fits ? all.clone(known.ranges.rangesMax) : copy.ranges;
  const unmarked = places.filter(({ sequence }) => !ranges.has(sequence)).length;
  const removals = places
    .filter(({ sequence, empty }) => empty && ranges.has(sequence))
    .map(({ key }) => ({ type: "del" as const, key }));
  return { state: withMissing({ ...copy, ranges, unmarked }, missing), removals };
}

/** Lists the gaps as far as there is room, and counts them all. */
function withMissing(state: StreamState, gaps: readonly SequenceRange[]): StreamState {
  for (const [first, last] of gaps) {
    state.missingUpdates += last - first + 1;
    const gap = SequenceRanges.fromMarks(
      first === 1 ? { through: last, ranges: [] } : { through: 0, ranges: [[first, last]] },
    );
    state.missing.merge(gap);
  }
  return state;
}
