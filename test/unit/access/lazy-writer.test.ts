import t from "tap";
import { LazyWriter } from "../../../src/access/lazy-writer.ts";
import { accessGround } from "../../support/access.ts";

t.test(
  "what has changed is written some seconds later, and nothing ticks in between",
  async (t) => {
    const { parts, store, clock } = accessGround("lazy");
    const table = new Map([["x/a", "1"]]);
    const valueOf = (key: string): Uint8Array | undefined => {
      const value = table.get(key);
      return value === undefined ? undefined : Buffer.from(value);
    };
    const kept = async (key: string): Promise<string | undefined> => {
      const value = await store.get(key);
      return value === undefined ? undefined : Buffer.from(value).toString();
    };
    const writer = new LazyWriter(parts, "things", valueOf);
    t.same(clock.waiting, []);
    writer.changed("x/a");
    t.equal(await kept("x/a"), undefined);
    await clock.advance(6_000);
    t.equal(await kept("x/a"), "1");
    t.same(clock.waiting, [], "nothing is left to do");
    table.delete("x/a");
    writer.changed("x/a");
    await writer.flush();
    t.equal(await kept("x/a"), undefined);
    t.same(clock.waiting, []);
  },
);

t.test("what could not be written is tried again, but not after the end", async (t) => {
  const { parts, clock, store } = accessGround("lazy-failing");
  let failing = true;
  const write: typeof store.write = (operations, how) =>
    failing ? Promise.reject(new Error("full")) : store.write(operations, how);
  const unsteady = { range: store.range.bind(store), get: store.get.bind(store), write };
  const writer = new LazyWriter({ ...parts, store: unsteady as never }, "things", () =>
    Buffer.from("1"),
  );
  writer.changed("x/a");
  await clock.advance(6_000);
  t.equal(await store.get("x/a"), undefined);
  failing = false;
  await clock.advance(6_000);
  t.ok(await store.get("x/a"));
  failing = true;
  writer.changed("x/b");
  await t.rejects(writer.close());
  t.same(clock.waiting, []);
});
