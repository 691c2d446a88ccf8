import type { Test } from "tap";
import { type KeyValueStore, StoreError } from "../../src/platform/key-value-store.ts";

const bytes = (text: string): Buffer => Buffer.from(text);
const all = { gte: "", lt: "~", limit: 1_000 };

/** What a suite needs of one implementation. */
export interface StoreUnderTest {
  /** Opens the same store again each time; the one before was closed. */
  open(): Promise<KeyValueStore>;
}

/** What every {@link KeyValueStore} keeps to. */
export function keyValueStoreConformance(
  t: Test,
  name: string,
  make: (t: Test) => StoreUnderTest,
): void {
  t.test(`${name}: keeps, replaces and deletes, all of a batch in its order`, async (t) => {
    const store = await make(t).open();
    const get = async (key: string): Promise<Buffer> =>
      Buffer.from((await store.get(key)) ?? "none");
    t.equal(await store.get("a"), undefined);
    const value = bytes("1");
    await store.write([{ type: "put", key: "a", value }], { durable: true });
    value[0] = 0;
    t.same(
      await store.get("a"),
      bytes("1"),
      "a later change to the writer's buffer changes nothing",
    );
    await store.write(
      [
        { type: "put", key: "b", value: bytes("x") },
        { type: "put", key: "b", value: bytes("y") },
        { type: "del", key: "a" },
        { type: "del", key: "never-there" },
        { type: "put", key: "c", value: new Uint8Array() },
      ],
      { durable: false },
    );
    t.equal(await store.get("a"), undefined);
    t.same(await get("b"), bytes("y"));
    t.same(await get("c"), bytes(""), "an empty value is a value");
    await store.write([], { durable: true });
    await store.close();
  });

  t.test(`${name}: counts what it wrote`, async (t) => {
    const store = await make(t).open();
    const before = store.written();
    await store.write([{ type: "put", key: "key", value: bytes("12345") }], { durable: true });
    await store.write([{ type: "del", key: "key" }], { durable: false });
    const after = store.written();
    t.equal(after.bytes - before.bytes, 11, "keys and values handed to it");
    t.equal(after.syncs - before.syncs, 1);
    t.ok((after.deviceBytes ?? 0) >= (before.deviceBytes ?? 0));
    await store.close();
    t.equal(store.written().bytes, after.bytes, "the count outlives the store");
  });

  t.test(`${name}: ranges`, async (t) => {
    const store = await make(t).open();
    const keys = ["q1", "q2", "q10", "Q", "q~", "r", "p/z"];
    await store.write(
      keys.map((key) => ({ type: "put" as const, key, value: bytes(`=${key}`) })),
      { durable: true },
    );
    const read = async (range: Parameters<KeyValueStore["range"]>[0]): Promise<string[]> =>
      (await store.range(range)).map(([key]) => key);
    t.same(await read(all), ["Q", "p/z", "q1", "q10", "q2", "q~", "r"], "code unit order");
    t.same(await read({ gte: "q1", lt: "q2", limit: 10 }), ["q1", "q10"], "half open");
    t.same(await read({ gte: "q", lt: "r", limit: 2 }), ["q1", "q10"]);
    t.same(await read({ gte: "q", lt: "r", limit: 2, reverse: true }), ["q~", "q2"]);
    t.same(await read({ gte: "x", lt: "z", limit: 2 }), []);
    t.same(await read({ gte: "r", lt: "q", limit: 2 }), [], "ends before it begins");
    t.same(await read({ gte: "q", lt: "r", limit: 0 }), []);
    t.same(
      await read({ gte: "q", lt: "r", limit: Number.MAX_SAFE_INTEGER }),
      ["q1", "q10", "q2", "q~"],
      "no limit to speak of",
    );
    t.same(
      await read({ gte: "q", lt: "r", limit: 10, bytesMax: 4 }),
      ["q1", "q10"],
      "stops after the entry that goes over",
    );
    t.same(await read({ gte: "q", lt: "r", limit: 10, bytesMax: 0 }), ["q1"], "always one");
    const [entry] = await store.range({ gte: "r", lt: "s", limit: 1 });
    t.same(Buffer.from(entry?.[1] ?? ""), bytes("=r"));
    await store.close();
  });

  t.test(`${name}: thousands of entries, sizes and compaction`, async (t) => {
    const store = await make(t).open();
    const key = (n: number): string => `k${String(n).padStart(5, "0")}`;
    await store.write(
      Array.from({ length: 2_500 }, (_, n) => ({
        type: "put" as const,
        key: key(n),
        value: Buffer.alloc(100, n),
      })),
      { durable: true },
    );
    t.equal((await store.range({ ...all, limit: 1e6 })).length, 2_500);
    await store.write(
      Array.from({ length: 2_400 }, (_, n) => ({ type: "del" as const, key: key(n) })),
      { durable: false },
    );
    await store.compact(key(0), key(2_400));
    t.equal((await store.range({ ...all, limit: 1e6 })).length, 100);
    t.ok((await store.approximateSize(key(0), key(2_500))) < 250_000);
    await store.close();
  });

  t.test(`${name}: what was written is there after reopening`, async (t) => {
    const under = make(t);
    let store = await under.open();
    const writes = Array.from({ length: 50 }, (_, n) =>
      store.write([{ type: "put", key: `k${n}`, value: bytes(String(n)) }], { durable: true }),
    );
    const closing = store.close();
    await Promise.all([...writes, closing]);
    await store.close();
    t.equal(await outcome(store.get("k1")), "store.closed");
    t.equal(await outcome(store.range(all)), "store.closed");
    t.equal(
      await outcome(store.write([{ type: "del", key: "k1" }], { durable: true })),
      "store.closed",
    );
    store = await under.open();
    t.equal((await store.range(all)).length, 50, "close waited for the writes under way");
    await store.close();
  });
}

/** @returns the code of the StoreError that something was refused with. */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    return error instanceof StoreError ? error.code : String(error);
  }
}
