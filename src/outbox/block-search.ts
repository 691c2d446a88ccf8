import type { KeyValueStore } from "../platform/key-value-store.ts";
import { updateKey } from "./keys.ts";

/** @returns the key of the block that `ordinal` lies in, or would lie in. @throws StoreError */
export async function blockStart(
  store: KeyValueStore,
  priority: number,
  ordinal: number,
): Promise<string> {
  const [entry] = await store.range({
    gte: updateKey(priority, 0),
    lt: updateKey(priority, ordinal + 1),
    limit: 1,
    reverse: true,
  });
  return entry?.[0] ?? updateKey(priority, ordinal);
}
