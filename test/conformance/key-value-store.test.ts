import { join } from "node:path";
import t, { type Test } from "tap";
import { SessionStore } from "../../src/platform/browser/session-store.ts";
import { StoreError } from "../../src/platform/key-value-store.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { MemoryKeyValueStore, VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { FakeStorage } from "../support/fake-storage.ts";
import { keptLog } from "../support/kept-log.ts";
import { keyValueStoreConformance } from "./key-value-store.ts";

const level = (t: Test) => {
  const directory = join(t.testdir(), "store");
  return { open: () => LevelStore.open({ directory, logger: keptLog() }) };
};

keyValueStoreConformance(t, "LevelStore", level);
keyValueStoreConformance(t, "MemoryKeyValueStore", () => {
  const disk = new VirtualDisk();
  return { open: () => Promise.resolve(new MemoryKeyValueStore(disk)) };
});

keyValueStoreConformance(t, "SessionStore", () => {
  const storage = new FakeStorage();
  return { open: () => Promise.resolve(new SessionStore(storage)) };
});

t.test(
  "LevelStore: a second opener is told what to do, and may open when the first is gone",
  async (t) => {
    const under = level(t);
    const first = await under.open();
    const refused = await under.open().catch((error: unknown) => error);
    if (!(refused instanceof StoreError)) throw new Error("the second opener got in");
    t.equal(refused.code, "store.locked");
    t.match(refused.message, /in use by another process.*--data/);
    await first.close();
    await (await under.open()).close();
  },
);

t.test(
  "the virtual disk: power loss undoes what was not synced; a full disk takes nothing",
  async (t) => {
    const disk = new VirtualDisk();
    const store = new MemoryKeyValueStore(disk);
    const put = (key: string) => ({ type: "put" as const, key, value: Buffer.alloc(10) });
    await store.write([put("a")], { durable: true });
    await store.write([put("b"), { type: "del", key: "a" }], { durable: false });
    disk.crash();
    t.ok(await store.get("a"));
    t.notOk(await store.get("b"));
    await store.write([put("b")], { durable: false });
    await store.write([put("c")], { durable: true });
    disk.crash();
    t.ok(await store.get("b"), "a durable write takes along what came before it");
    disk.bytesMax = disk.bytes + 15;
    const full = await store
      .write([put("d"), put("e")], { durable: true })
      .catch((e: unknown) => e);
    t.match(full, { code: "store.full" });
    t.notOk(await store.get("d"), "all or nothing");
  },
);
