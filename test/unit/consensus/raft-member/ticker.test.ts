import t from "tap";
import { Ticker } from "../../../../src/consensus/raft-member/ticker.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";

const TICK_MS = 50;

/** A core that does something every so many ticks. @param lateMs how much later than it should every timer fires */
function ticking(every: number, lateMs = 0) {
  const clock = new VirtualClock();
  const told: { atMs: number; ticks: number }[] = [];
  let wakes = 0;
  const core = { since: 0, done: 0, every };
  const slow = { lateMs };
  const ticker = new Ticker({
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (name, delayMs, callback) => clock.setTimer(name, delayMs + slow.lateMs, callback),
    },
    tickMs: TICK_MS,
    untilDue: () => Math.max(1, core.every - core.since),
    pass: (ticks) => {
      told.push({ atMs: clock.monotonicMs(), ticks });
      core.since += ticks;
      if (core.since < core.every) return;
      core.since = 0;
      core.done++;
    },
    woken: () => {
      wakes++;
    },
  });
  const ticks = (): number => told.reduce((sum, { ticks }) => sum + ticks, 0);
  return { clock, ticker, core, slow, told, ticks, wakes: () => wakes };
}

t.test("it wakes for what is due and counts what it slept through", async (t) => {
  const { clock, ticker, core, ticks, wakes } = ticking(20);
  ticker.start();
  await clock.advance(10_000);
  t.equal(ticks(), 200);
  t.equal(core.done, 10);
  t.equal(wakes(), 10);
});

t.test(
  "before it is told of anything the core knows what has passed, but for what is due",
  async (t) => {
    const { clock, ticker, core, told, ticks } = ticking(20);
    ticker.catchUp();
    t.same(told, [], "nothing has passed before the start");
    ticker.start();
    await clock.advance(475);
    ticker.catchUp();
    t.same(told, [{ atMs: 475, ticks: 9 }]);
    ticker.catchUp();
    t.equal(ticks(), 9, "once");
    // As a heartbeat does.
    core.since = 0;
    ticker.arm();
    await clock.advance(1_000 - 475);
    t.equal(core.done, 0, "what was due earlier is not any more");
    await clock.advance(450);
    t.equal(core.done, 1, "the ticks go on as they went before");
  },
);

t.test("what becomes due earlier wakes it earlier", async (t) => {
  const { clock, ticker, core, told } = ticking(Number.POSITIVE_INFINITY);
  ticker.start();
  await clock.advance(60_000);
  t.same(told, [], "nothing to wake for");
  ticker.catchUp();
  core.every = core.since + 2;
  ticker.arm();
  await clock.advance(100);
  t.same(told, [
    { atMs: 60_000, ticks: 1_200 },
    { atMs: 60_100, ticks: 2 },
  ]);
});

t.test("who was held up listens for a tick before it acts", async (t) => {
  const { clock, ticker, core, slow, told } = ticking(20, 5_000);
  ticker.start();
  slow.lateMs = 0;
  await clock.advance(6_000);
  t.same(told.at(0), { atMs: 6_000, ticks: 19 }, "it should have woken after a second");
  t.equal(core.done, 0);
  await clock.advance(TICK_MS);
  t.equal(core.done, 1);
});

t.test("held up, with a message before the timer: the due tick waits for the timer", async (t) => {
  const { clock, ticker, core, told } = ticking(20, 5_000);
  ticker.start();
  await clock.advance(5_999);
  ticker.catchUp();
  t.same(told, [{ atMs: 5_999, ticks: 19 }]);
  t.equal(core.done, 0);
  await clock.advance(1);
  t.equal(core.done, 1);
});

t.test("on a device that is always late time passes all the same", async (t) => {
  const { clock, ticker, core } = ticking(20, 3 * TICK_MS);
  ticker.start();
  await clock.advance(60_000);
  t.ok(core.done >= 40, `${core.done} times in a minute`);
});

t.test("after the end it does not wake", async (t) => {
  const { clock, ticker, told } = ticking(2);
  ticker.start();
  ticker.stop();
  await clock.advance(1_000);
  t.same(told, []);
});
