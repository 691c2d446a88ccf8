import t from "tap";
import { defaultTaskOptions } from "../../../../src/coordination/tasks/options.ts";
import type { Order } from "../../../../src/coordination/tasks/order.ts";
import { OrderBook } from "../../../../src/coordination/tasks/order-book.ts";
import { decodeOrder, encodeOrder } from "../../../../src/coordination/tasks/order-codec.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { orderOf } from "../../../support/coordination/orders.ts";

function order(number: number, changes: Partial<Order> = {}): Order {
  return {
    id: `o${number}`,
    number,
    spec: orderOf(),
    orderedAt: { wallMs: 1, wallTrusted: true, monotonicMs: 1, bootId: "boot" },
    state: "waiting",
    attempts: 0,
    failures: 0,
    bids: [],
    contractors: [],
    results: [],
    history: [],
    ...changes,
  };
}

function book(store: MemoryKeyValueStore, options = {}, awaited: readonly string[] = []) {
  return new OrderBook({
    store,
    logger: silentLogger,
    options: { ...defaultTaskOptions, ...options },
    isAwaited: (id) => awaited.includes(id),
  });
}

const ids = (of: OrderBook): string[] => [...of.all()].map(({ id }) => id);

t.test("an order comes back from the store as it was; anything else is none", async (t) => {
  const one = order(1, { results: [{ peer: "a", output: '"ü"' }] });
  t.strictSame(decodeOrder(encodeOrder(one)), one);
  for (const bad of ["", "{", "7", "null", "{}", '{"id":1,"number":1,"spec":{},"orderedAt":{}}'])
    t.equal(decodeOrder(Buffer.from(bad)), undefined, bad);
  t.equal(decodeOrder(Uint8Array.of(0xff)), undefined);
});

t.test("new orders and ends are on disk; what happens between wears no flash", async (t) => {
  const store = new MemoryKeyValueStore();
  const first = book(store);
  first.set(order(1));
  await first.written();
  const { syncs } = store.written();
  first.set(order(1, { state: "working", attempts: 1 }));
  await first.written();
  t.equal(store.written().syncs, syncs);
  first.set(order(2, { state: "done", results: [{ peer: "a", output: "1" }] }));
  await first.written();
  const second = book(store);
  await second.load();
  t.strictSame(
    [...second.all()],
    [order(1), order(2, { state: "done", results: [{ peer: "a", output: "1" }] })],
  );
  t.equal(second.nextNumber, 3);
  t.equal(second.openCount, 1);
  second.drop("o1");
  await second.written();
  const third = book(store);
  await third.load();
  t.same(ids(third), ["o2"]);
});

t.test("what can not be read is forgotten, the rest goes on", async (t) => {
  const store = new MemoryKeyValueStore();
  await store.write([{ type: "put", key: "t/bad", value: Buffer.from("?") }], { durable: true });
  const one = book(store);
  await one.load();
  one.set(order(1));
  await one.written();
  t.same(await store.get("t/bad"), undefined);
});

t.test("orders that ended longest ago give way, but for those that others wait for", async (t) => {
  const one = book(new MemoryKeyValueStore(), { keptMax: 2 }, ["o1"]);
  for (const number of [1, 2, 3, 4, 5]) {
    one.set(order(number));
    one.set(order(number, { state: "done" }));
  }
  one.set(order(6));
  t.same(ids(one), ["o1", "o5", "o6"]);
});

t.test("there is room for so many open orders, and for so many bytes", async (t) => {
  const few = book(new MemoryKeyValueStore(), { openMax: 2 });
  few.set(order(1));
  t.ok(few.hasRoomFor(10));
  few.set(order(2));
  t.notOk(few.hasRoomFor(10));
  few.set(order(1, { state: "failed" }));
  t.ok(few.hasRoomFor(10));
  const small = book(new MemoryKeyValueStore(), { bytesMax: 100 });
  small.set(order(1, { spec: orderOf({ input: "x".repeat(60) }) }));
  t.notOk(small.hasRoomFor(41));
  t.ok(small.hasRoomFor(40));
  small.set(order(1, { state: "done", spec: orderOf({ input: "x".repeat(60) }) }));
  small.set(order(2, { spec: orderOf({ input: "x".repeat(60) }) }));
  t.same(ids(small), ["o2"], "what has ended makes room");
});

t.test("an order that can not be written is told, and written with the next one", async (t) => {
  const store = new MemoryKeyValueStore();
  const one = book(store);
  let isBroken = true;
  const write = store.write.bind(store);
  store.write = (operations, options) =>
    isBroken ? Promise.reject(new Error("no disk")) : write(operations, options);
  one.set(order(1));
  await t.rejects(one.written(), /no disk/);
  isBroken = false;
  one.set(order(2));
  await one.written();
  const other = book(store);
  await other.load();
  t.same(ids(other), ["o1", "o2"]);
});
