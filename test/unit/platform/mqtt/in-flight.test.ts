import t from "tap";
import { InFlight } from "../../../../src/platform/mqtt/in-flight.ts";

t.test("an identifier is given out again only when its acknowledgement has come", async (t) => {
  const inFlight = new InFlight<number>();
  const waiting = new Map<number, number>();
  const order: number[] = [];
  // Every third stays open, so that identifiers wrap around those that are taken.
  for (let value = 0; value < 190_000; value++) {
    const id = inFlight.nextId();
    if (id < 1 || id > 65_535 || waiting.has(id)) t.fail(`${id} was given out`);
    inFlight.add(id, value);
    waiting.set(id, value);
    order.push(id);
    const settled = order[value] ?? 0;
    if (value % 3 === 0) continue;
    if (inFlight.take(settled) !== waiting.get(settled)) t.fail(`${settled} is another's`);
    waiting.delete(settled);
  }
  t.equal(waiting.size, Math.ceil(190_000 / 3));
  for (const [id, value] of waiting) if (inFlight.take(id) !== value) t.fail(`${id} was forgotten`);
  t.equal(inFlight.take(7), undefined, "nothing waits there any more");
});

t.test("all 65,535 can be in flight at once, and no more", async (t) => {
  const inFlight = new InFlight<number>();
  for (let value = 0; value < 65_535; value++) inFlight.add(inFlight.nextId(), value);
  t.throws(() => inFlight.nextId(), RangeError);
  t.equal(inFlight.take(0), undefined);
  t.equal(inFlight.take(40_000), 39_999);
  t.equal(inFlight.nextId(), 40_000);
  inFlight.clear();
  t.equal(inFlight.take(1), undefined);
});
