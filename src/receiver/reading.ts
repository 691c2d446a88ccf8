import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { ReceivedUpdate } from "../platform/update-sink.ts";
import { sequenceOf, updateKey, updatesEnd } from "./layout.ts";
import { receivedUpdate } from "./stored-update.ts";
import type { StreamTable } from "./stream-table.ts";

const PAGE_BYTES_MAX = 4 * 1_024 * 1_024;

/** Some updates of one stream. */
export interface UpdatePage {
  readonly updates: readonly ReceivedUpdate[];
  /** Ask from here for what follows; absent when nothing did. */
  readonly next?: number;
}

/** Reads updates of one stream, in order of their sequence. @throws StoreError */
export async function readPage(
  store: KeyValueStore,
  table: StreamTable,
  query: {
    readonly agent: string;
    readonly stream: string;
    readonly from: number;
    readonly limit: number;
  },
): Promise<UpdatePage> {
  const state = table.find(query.agent, query.stream);
  if (state === undefined) return { updates: [] };
  const entries = await store.range({
    gte: updateKey(state.number, query.from),
    lt: updatesEnd(state.number),
    limit: query.limit,
    bytesMax: PAGE_BYTES_MAX,
  });
  const updates = entries
    // An empty value only holds the place of an update that was removed.
    .filter(([, value]) => value.length > 0)
    .map(([key, value]) =>
      receivedUpdate({ of: state, sequence: sequenceOf(key), tail: textOf(value) }),
    );
  const last = entries.at(-1);
  const more = last !== undefined && (entries.length === query.limit || isLong(entries));
  return { updates, ...(more ? { next: sequenceOf(last[0]) + 1 } : {}) };
}

/** @returns the bytes as text */
export function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
}

function isLong(entries: readonly (readonly [string, Uint8Array])[]): boolean {
  return entries.reduce((sum, [, value]) => sum + value.length, 0) > PAGE_BYTES_MAX;
}
