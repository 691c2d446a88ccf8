import t from "tap";
import { Lifecycle, type Part } from "../../../src/agent/lifecycle.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { keptLog } from "../../support/kept-log.ts";

const setUp = () => {
  const clock = new VirtualClock();
  const log = keptLog();
  const done: string[] = [];
  const part = (name: string, over: Partial<Part> = {}): Part => ({
    name,
    start: () => void done.push(`start ${name}`),
    stop: () => void done.push(`stop ${name}`),
    ...over,
  });
  return { clock, log, done, part, lifecycle: new Lifecycle(clock, log) };
};

t.test("parts stop in the reverse of the order in which they started, once", async (t) => {
  const { lifecycle, part, done, clock } = setUp();
  await lifecycle.start(part("store"));
  await lifecycle.start(part("outbox"));
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  await lifecycle.stop();
  t.same(done, ["start store", "start outbox", "stop outbox", "stop store"]);
  t.same(clock.waiting, [], "no timer is left");
});

t.test("a part that can not start takes down those before it, and tells why", async (t) => {
  const { lifecycle, part, done } = setUp();
  await lifecycle.start(part("store"));
  const broken = part("broker", { start: () => Promise.reject(new Error("port taken")) });
  await t.rejects(lifecycle.start(broken), { message: "port taken" });
  t.same(done, ["start store", "stop store"]);
});

t.test("parts that fail or hang while stopping do not keep the others up", async (t) => {
  const { lifecycle, part, done, clock, log } = setUp();
  await lifecycle.start(part("store"));
  await lifecycle.start(part("hangs", { stop: () => new Promise<void>(() => undefined) }));
  await lifecycle.start(
    part("fails", {
      stop: () => {
        throw new Error("broken");
      },
    }),
  );
  const stopped = lifecycle.stop();
  await clock.advance(10_000);
  await stopped;
  t.match(done.at(-1), "stop store");
  t.match(log.lines, [
    { level: "error", fields: { part: "fails", reason: /broken/ } },
    { level: "error", message: /in time/, fields: { part: "hangs" } },
  ]);
});
