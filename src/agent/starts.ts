import type { KeyValueStore } from "../platform/key-value-store.ts";

/** Leaves room for all starts that a device can make. */
const STARTS_MAX = 2 ** 32 - 2;

/** Counts starts on the disk. @param key of its own in the store @returns larger than at any start before @throws StoreError */
export async function nextStart(store: KeyValueStore, key: string): Promise<number> {
  const kept = await store.get(key);
  const before = Number(kept === undefined ? 0 : Buffer.from(kept).toString("utf8"));
  const start = Number.isSafeInteger(before) && before < STARTS_MAX ? before + 1 : 1;
  const value = Buffer.from(String(start));
  await store.write([{ type: "put", key, value }], { durable: true });
  return start;
}
