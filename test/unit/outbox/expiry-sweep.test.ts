import t from "tap";
import { resolveConfig } from "../../../src/config/resolve.ts";
import { Outbox } from "../../../src/outbox/outbox.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

t.test("an outbox that closes while it looks for expired updates looks no more", async (t) => {
  const clock = new VirtualClock();
  const disk = new VirtualDisk();
  const storeOf = (generation: number): SimulatedStore =>
    new SimulatedStore(disk, {
      clock,
      random: new SeededRandom(`disk/${generation}`),
      manners: { syncMs: [1, 1], writeFailureRate: 0 },
      generation,
      repairs: [],
    });
  const open = (store: SimulatedStore): Promise<Outbox> =>
    Outbox.open({
      store,
      clock,
      logger: silentLogger,
      events: { emit: () => undefined },
      agentId: "a",
      options: resolveConfig({}).outbox,
    });
  const before = await open(storeOf(0));
  const payload = Buffer.from("17");
  const draft = { stream: "one", payload, contentType: "text/plain", priority: 9 };
  before.append(draft, () => undefined);
  const stored = before.close();
  await clock.advance(1_000);
  await stored;

  const store = storeOf(1);
  const after = await open(store);
  const range = store.range.bind(store);
  let read: () => void = () => undefined;
  store.range = async (wanted) => {
    await new Promise<void>((resolve) => {
      read = resolve;
    });
    return range(wanted);
  };
  t.ok(clock.waiting.includes("outbox.sweep"));
  await clock.advance(30_000);
  t.notOk(clock.waiting.includes("outbox.sweep"), "it is under way");
  const closed = after.close();
  store.range = range;
  read();
  await clock.advance(1_000);
  await closed;
  t.notOk(clock.waiting.includes("outbox.sweep"));
});
