import t from "tap";
import { DayBudget } from "../../../src/uplink/day-budget.ts";
import { RateLimit } from "../../../src/uplink/rate-limit.ts";
import { type Candidate, select } from "../../../src/uplink/selection.ts";

const DOWN: Candidate = {
  up: false,
  upForMs: 0,
  failbackAfterMs: 30_000,
  hopeful: false,
  cold: false,
  exhausted: false,
  work: true,
};
const up = (upForMs: number, over: Partial<Candidate> = {}): Candidate => ({
  ...DOWN,
  up: true,
  upForMs,
  ...over,
});

t.test("the best uplink that works carries the updates", async (t) => {
  const both = [true, true];
  t.same(select([], undefined), { active: undefined, connected: [] });
  t.same(select([DOWN, DOWN], undefined), { active: undefined, connected: both });
  t.same(select([up(0), up(9)], undefined), { active: 0, connected: both });
  t.same(select([DOWN, up(0)], undefined), { active: 1, connected: both });
  t.same(select([DOWN, up(0)], 0), { active: 1, connected: both }, "at once when it fails");
  const hopeful = { ...DOWN, hopeful: true };
  t.same(select([hopeful, up(5)], undefined), { active: undefined, connected: both });
  t.same(select([hopeful, up(5)], 1), { active: 1, connected: both }, "who carries goes on");
  t.same(select([hopeful, up(5)], 0), { active: undefined, connected: both }, "back in a moment");
});

t.test("a better one comes back when it has proven itself", async (t) => {
  const waiting = select([up(10_000), up(90_000)], 1);
  t.same(waiting, { active: 1, connected: [true, true], askAgainInMs: 20_000 });
  t.equal(select([up(30_000), up(90_000)], 1).active, 0);
  t.equal(select([up(0, { failbackAfterMs: 0 }), up(90_000)], 1).active, 0);
  t.match(select([up(29_000), up(31_000), up(1)], 2), { active: 1 }, "the next best meanwhile");
  t.equal(select([up(40_000), up(0)], 0).active, 0, "a worse one never takes over");
  t.equal(select([up(90_000, { exhausted: true }), up(9)], 1).active, 1);
  t.equal(select([up(90_000, { exhausted: true }), up(9)], 0).active, 1, "nor one without bytes");
});

t.test("a cold uplink is dialled when it is needed, and let go when it is not", async (t) => {
  const cold = { ...DOWN, cold: true };
  const dialled = (candidates: Candidate[], active?: number) =>
    select(candidates, active).connected[1];
  t.equal(dialled([up(1), cold], 0), false);
  t.equal(dialled([{ ...DOWN, hopeful: true }, cold]), false, "not before the first has had a try");
  t.equal(dialled([DOWN, cold]), true);
  t.equal(dialled([DOWN, { ...cold, work: false }]), false, "nothing to carry");
  t.equal(dialled([DOWN, { ...cold, exhausted: true }]), false, "nothing left to carry it with");
  t.equal(dialled([DOWN, up(1, { cold: true, work: false })], 1), true, "kept while it carries");
  t.equal(dialled([up(5), up(1, { cold: true })], 1), true, "until the better one is proven");
  t.equal(dialled([up(30_000), up(1, { cold: true })], 1), false);
});

t.test("rates are kept over time, in updates and in bytes", async (t) => {
  const free = new RateLimit({});
  t.same(free.room(0, 512), { updates: 512 });
  const slow = new RateLimit({ updatesPerSecondMax: 0.5 });
  let sent = 0;
  for (let ms = 0; ms <= 60_000; ms += 100)
    if (slow.room(ms, 10).updates >= 1) {
      slow.take(10);
      sent++;
    }
  t.equal(sent, 31, "one at once, and one every two seconds for a minute");
  t.same(new RateLimit({ updatesPerSecondMax: 20 }).room(0, 50), { updates: 20, askAgainInMs: 50 });

  for (const size of [10, 1_000, 50_000]) {
    const limit = new RateLimit({ bytesPerSecondMax: 10_000 });
    let bytes = 0;
    let nowMs = 0;
    while (nowMs < 600_000) {
      const { updates, askAgainInMs } = limit.room(nowMs, 100);
      for (let n = 0; n < updates; n++) limit.take(size);
      bytes += updates * size;
      nowMs += askAgainInMs ?? 1;
    }
    const perSecond = bytes / 600;
    t.ok(perSecond > 9_000 && perSecond < 10_400, `${perSecond} B/s in updates of ${size} B`);
  }
});

t.test("a daily budget outlives restarts and crashes, and ends with the UTC day", async (t) => {
  const noon = Date.UTC(2026, 10, 22, 12);
  const day = 86_400_000;
  let budget = new DayBudget(1_000_000, undefined);
  t.equal(budget.keep(), undefined, "nothing used, nothing to write down");
  budget.charge(5_000, noon);
  const record = budget.keep();
  t.ok((record?.bytes ?? 0) > 5_000, "set aside ahead of use");
  budget.charge(1, noon);
  t.equal(budget.keep(), undefined, "so that not every byte is written down");
  budget = new DayBudget(1_000_000, record);
  t.ok(budget.bytes >= 5_001, "after a crash nothing is forgotten");
  budget.charge(2_000_000, noon);
  t.equal(budget.left, 0);
  budget.charge(0, undefined);
  t.equal(budget.left, 0, "a clock that can not be trusted begins no day");
  budget.charge(0, noon - day / 2 - 1);
  t.equal(budget.left, 0, "a step back over midnight is the same night");
  budget.charge(0, noon + day);
  t.equal(budget.left, 1_000_000);
  const future = new DayBudget(10, { day: 99_999, bytes: 10 });
  future.charge(0, noon);
  t.equal(future.left, 10, "a day that was noted wrongly does not hold for ever");
  t.equal(DayBudget.msToNextDay(noon), day / 2);
});
