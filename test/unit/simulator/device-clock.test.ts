import t from "tap";
import { DeviceClock, ProcessClock } from "../../../src/simulator/device-clock.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

function process() {
  const world = new VirtualClock();
  const fired: string[] = [];
  const clock = new ProcessClock(new DeviceClock(world), () => undefined);
  const set = (name: string, delayMs: number) =>
    clock.setTimer(name, delayMs, () => fired.push(`${name} ${world.monotonicMs()}`));
  return { world, clock, fired, set };
}

t.test(
  "what is due while the process stalls fires after it, unless it is cancelled meanwhile",
  async (t) => {
    const { world, clock, fired, set } = process();
    clock.stall(1_000);
    set("held", 100);
    const cancelled = set("cancelled", 100);
    set("later", 1_500);
    await world.advance(500);
    t.same(fired, []);
    cancelled.cancel();
    await world.advance(1_500);
    t.same(fired, ["held 1000", "later 1500"]);
  },
);

t.test("a process that has ended hears of none of its timers", async (t) => {
  const { world, clock, fired, set } = process();
  set("never", 100);
  clock.end();
  await world.advance(500);
  t.same(fired, []);
});
