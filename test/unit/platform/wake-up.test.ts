import t from "tap";
import { WakeUp } from "../../../src/platform/wake-up.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

function waking() {
  const clock = new VirtualClock();
  const wokenAtMs: number[] = [];
  let timers = 0;
  const counting = {
    monotonicMs: () => clock.monotonicMs(),
    setTimer: (name: string, delayMs: number, callback: () => void) => {
      timers++;
      return clock.setTimer(name, delayMs, callback);
    },
  };
  const wakeUp = new WakeUp(counting, "test", () => wokenAtMs.push(clock.monotonicMs()));
  return { clock, wakeUp, wokenAtMs, timers: () => timers };
}

t.test("the last word on the moment counts, and it comes once", async (t) => {
  const { clock, wakeUp, wokenAtMs } = waking();
  wakeUp.at(50);
  wakeUp.at(20);
  wakeUp.at(30);
  await clock.advance(100);
  t.same(wokenAtMs, [30]);
});

t.test("the same moment again sets no timer, until it has come", async (t) => {
  const { clock, wakeUp, wokenAtMs, timers } = waking();
  wakeUp.at(20);
  wakeUp.at(20);
  t.equal(timers(), 1);
  await clock.advance(20);
  wakeUp.at(20);
  await clock.advance(100);
  t.same(wokenAtMs, [20, 21], "what has passed is the next millisecond");
});

t.test("never is never, and what is cancelled can be set to the same moment again", async (t) => {
  const { clock, wakeUp, wokenAtMs } = waking();
  wakeUp.at(20);
  wakeUp.at(Number.POSITIVE_INFINITY);
  await clock.advance(100);
  t.same(wokenAtMs, []);
  wakeUp.at(200);
  wakeUp.cancel();
  wakeUp.at(200);
  await clock.advance(200);
  t.same(wokenAtMs, [200]);
});
