// Found by the simulator: seed 9 of twenty agents with every fault, see docs/simulator.md.
import t from "tap";
import { resolveConfig } from "../../src/config/resolve.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import type { Update } from "../../src/outbox/update.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";

t.test("what waits of a stream whose name is lost never comes out under another's", async (t) => {
  const clock = new VirtualClock();
  const disk = new VirtualDisk();
  const open = (generation: number): Promise<Outbox> =>
    Outbox.open({
      store: new SimulatedStore(disk, {
        clock,
        random: new SeededRandom(`disk/${generation}`),
        manners: { syncMs: [1, 1], writeFailureRate: 0 },
        generation,
        repairs: [],
      }),
      clock,
      logger: silentLogger,
      events: { emit: () => undefined },
      agentId: "a",
      options: resolveConfig({}).outbox,
    });
  const append = async (outbox: Outbox, stream: string, text: string): Promise<void> => {
    const draft = { stream, payload: Buffer.from(text), contentType: "text/plain", priority: 5 };
    const settled = new Promise<void>((resolve, reject) =>
      outbox.append(draft, (error) => (error === undefined ? resolve() : reject(error))),
    );
    await clock.advance(10);
    await settled;
  };
  const before = await open(0);
  for (const stream of ["one", "two"]) await append(before, stream, `${stream} before`);
  // A table of the store is gone, and with it the names of both streams and of the boot.
  const lost = disk
    .range({ gte: "", lt: "~", limit: 100 })
    .filter(([key]) => key.startsWith("s/") || key === "m/boots");
  t.equal(lost.length, 3);
  disk.apply(
    lost.map(([key]) => ({ type: "del", key })),
    true,
  );
  clock.bootId = "another boot";
  const after = await open(1);
  for (const stream of ["two", "three"]) await append(after, stream, `${stream} after`);
  const leased: readonly Update[] = await after.lease(10);
  t.same(
    leased.map(({ stream, payload }) => [stream, Buffer.from(payload).toString()]),
    [
      ["two", "two after"],
      ["three", "three after"],
    ],
  );
  t.equal(after.status().lost, 2, "and what can not be told apart is counted as lost");
});
