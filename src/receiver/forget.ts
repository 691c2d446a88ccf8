import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import { marksKey, streamKey, updateKey, updatesEnd } from "./layout.ts";
import { pages, type StreamTable } from "./stream-table.ts";

const REMOVALS_AT_ONCE = 5_000;

/**
 * Removes an agent: its streams and their marks at once, and then its updates, so that a crash in between leaves none
 * that can be seen. Totals go down when retention comes to their commits; their numbers are never given again.
 * @returns false when there is no such agent @throws StoreError
 */
export async function forget(
  agentId: string,
  table: StreamTable,
  store: KeyValueStore,
  write: (operations: readonly StoreOperation[], durable: boolean) => Promise<void>,
): Promise<boolean> {
  const streams = [...(table.agents.get(agentId)?.values() ?? [])];
  if (streams.length === 0) return false;
  await write(
    streams.flatMap(({ number }) => [
      { type: "del" as const, key: streamKey(number) },
      { type: "del" as const, key: marksKey(number) },
    ]),
    true,
  );
  table.drop(agentId);
  let removals: StoreOperation[] = [];
  for (const { number } of streams)
    for await (const [key] of pages(store, { gte: updateKey(number, 0), lt: updatesEnd(number) })) {
      removals.push({ type: "del", key });
      if (removals.length < REMOVALS_AT_ONCE) continue;
      await write(removals, false);
      removals = [];
    }
  if (removals.length > 0) await write(removals, false);
  return true;
}
