import t from "tap";
import { WearPacer } from "../../../src/outbox/wear-pacer.ts";

const HOUR_MS = 3_600_000;
const pacing = { bytesPerDayMax: 24_000_000, lingerMinMs: 5, lingerMaxMs: 1_000 };

t.test("commits wait longer as the day's budget is used up", async (t) => {
  const pacer = new WearPacer(pacing, 0);
  t.equal(pacer.lingerMs, 5);
  pacer.note(2_000_000, 0);
  t.equal(pacer.lingerMs, 5, "a third of the burst goes unnoticed");
  pacer.note(4_500_000, 0);
  t.equal(pacer.used, 0.75);
  t.equal(pacer.lingerMs, 500);
  pacer.note(9_000_000, 0);
  t.equal(pacer.used, 1.5, "overdrawn, and it says so");
  t.equal(pacer.lingerMs, 1_000);
});

t.test("what was written flows off over the day", async (t) => {
  const pacer = new WearPacer(pacing, 0);
  pacer.note(6_000_000, 0);
  pacer.note(6_000_000, 4 * HOUR_MS);
  t.equal(pacer.used, 0.5);
  pacer.note(6_000_000, 100 * HOUR_MS);
  t.equal(pacer.used, 0);
});

t.test("who keeps to it writes no more than the budget in any day", async (t) => {
  const pacer = new WearPacer(pacing, 0);
  let written = 0;
  for (let minute = 0; minute < 1_440; minute++) {
    // A device that stops writing whenever it would have to wait for the longest time.
    while (pacer.lingerMs < 1_000) pacer.note((written += 10_000), (minute * HOUR_MS) / 60);
    pacer.note(written, (minute * HOUR_MS) / 60);
  }
  t.ok(written <= pacing.bytesPerDayMax, `${written}`);
  t.ok(written > 0.9 * pacing.bytesPerDayMax, "and it may use it");
});

t.test("without a budget nothing is paced", async (t) => {
  const pacer = new WearPacer({ ...pacing, bytesPerDayMax: 0 }, 0);
  pacer.note(1e12, 1);
  t.equal(pacer.used, 0);
  t.equal(pacer.lingerMs, 5);
  pacer.configure(1_000);
  t.equal(pacer.lingerMs, 1_000, "a profile's budget counts what was written before");
});
