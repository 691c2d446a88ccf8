import t from "tap";
import { startAgent } from "../../../src/agent/compose.ts";
import { resolveConfig } from "../../../src/config/resolve.ts";
import type { Outbox } from "../../../src/outbox/outbox.ts";
import { backoffMs } from "../../../src/platform/backoff.ts";
import { VirtualWorld } from "../../../src/simulator/virtual-platform.ts";
import { Batching } from "../../../src/uplink/batching.ts";

t.test("backoff doubles up to its limit, with full jitter", async (t) => {
  const limits = { retryMinMs: 100, retryMaxMs: 3_000 };
  const at = (attempt: number, chance: number): number =>
    backoffMs(attempt, limits, {
      next: () => chance,
      bytes: () => new Uint8Array(),
      fork: (): never => {
        throw new Error("not asked for");
      },
    });
  t.same(
    [1, 2, 3, 4, 5, 6, 7, 5_000].map((attempt) => at(attempt, 1)),
    [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000],
  );
  t.equal(at(3, 0), 0);
  t.equal(at(3, 0.5), 200);
});

t.test("batching gathers updates, lets urgent ones through, and drains at once", async (t) => {
  const batching = new Batching();
  t.same(batching.decide(0, 5), { priorityMin: 0 }, "without an interval everything leaves");
  batching.configure({
    uplinkBatchIntervalMs: 1_000,
    uplinkBatchUpdatesMax: 10,
    uplinkUrgentPriorityMin: 8,
    uplinkDisconnectBetweenBatches: false,
  });
  t.same(batching.decide(100, 1), { priorityMin: 8, askAgainInMs: 1_000 });
  t.same(batching.decide(600, 2), { priorityMin: 8, askAgainInMs: 500 });
  t.same(batching.decide(1_100, 2), { priorityMin: 0 }, "due");
  t.same(batching.decide(1_150, 7), { priorityMin: 0 }, "until nothing is left");
  t.same(batching.decide(1_200, 0), { priorityMin: undefined });
  t.same(batching.decide(1_300, 1), { priorityMin: 8, askAgainInMs: 900 });
  t.same(batching.decide(1_400, 10), { priorityMin: 0 }, "many are enough");
  t.same(batching.decide(1_500, 0), { priorityMin: undefined });
  batching.flush();
  t.same(batching.decide(1_600, 1), { priorityMin: 0 }, "flushed");
  batching.configure({
    uplinkBatchIntervalMs: 1_000,
    uplinkBatchUpdatesMax: 10,
    uplinkUrgentPriorityMin: 10,
    uplinkDisconnectBetweenBatches: false,
  });
  batching.decide(1_700, 0);
  t.match(batching.decide(1_800, 1), { priorityMin: undefined }, "nothing is urgent");
});

t.test(
  "a receiver over its quota is left alone longer and longer, and gets all in order",
  async (t) => {
    const world = new VirtualWorld("quota");
    const sets = ["uplinks.0.name=up", "uplinks.0.kind=mqtt", "uplinks.0.url=mqtt://up"];
    const agent = await startAgent(
      resolveConfig({ sets: [...sets, "mqtt.deviceReadings=false"] }),
      "agent-1",
      world.platform(),
    );
    const attemptsAt: number[] = [];
    let open = false;
    world.receiver.verdict = (update) => {
      if (update.sequence === 5)
        return { kind: "refused", permanent: true, reason: "not authorized" };
      if (open || update.sequence < 10) return { kind: "acknowledged" };
      attemptsAt.push(world.clock.monotonicMs());
      return { kind: "refused", permanent: false, reason: "quota exceeded" };
    };
    for (let n = 1; n <= 30; n++) void world.broker.receive("sensors/a", Buffer.from(String(n)));
    await world.clock.advance(600_000);
    const [status] = agent.context.uplinks.status();
    t.match(status?.reason, /not taking updates: quota exceeded/);
    const tries = new Set(attemptsAt).size;
    t.ok(tries >= 5 && tries < 60, `${tries} tries in ten minutes`);
    t.match((await agent.context.queue.listDeadLetters({ limit: 10 })).deadLetters, [
      { code: "receiver.refused", updateId: "agent-1/sensors/a/5", reason: "up: not authorized" },
    ]);
    open = true;
    const before = world.receiver.received.length;
    await world.clock.advance(120_000);
    t.same(
      world.receiver.received.slice(before).map(({ sequence }) => sequence),
      Array.from({ length: 21 }, (_, n) => n + 10),
    );
    t.equal(agent.context.queue.status().updates, 0);

    await agent.context.uplinks.pause();
    void world.broker.receive("sensors/a", Buffer.from("paused"));
    await world.clock.advance(60_000);
    t.equal((agent.context.queue as Outbox).available(), 1, "paused: it waits");
    await agent.context.uplinks.resume();
    await world.clock.advance(1_000);
    t.equal(agent.context.queue.status().updates, 0);
    const stopped = agent.stop();
    await world.clock.advance(10_000);
    await stopped;
  },
);
