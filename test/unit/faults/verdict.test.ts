import t from "tap";
import { FAULTS } from "../../../faults/catalogue.ts";
import type { RunResult } from "../../../faults/one-run.ts";
import { Publisher, payloadOf } from "../../../faults/parts/publisher.ts";
import { drawSchedule } from "../../../faults/schedule.ts";
import { ACTS } from "../../../faults/steps.ts";
import { summarize, table } from "../../../faults/table.ts";
import { judge } from "../../../faults/verdict.ts";
import { backoffMs } from "../../../src/platform/backoff.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";

const traffic = drawSchedule("traffic", FAULTS, false).traffic;
const NOTHING = { gaps: false, refusals: false };

/** A publisher that sent and was thanked for the numbers from 0. */
function publisher(count: number): Publisher {
  const one = new Publisher(traffic, () => 0);
  for (let number = 0; number < count; number++) {
    one.acknowledged.add(number);
    one.sends.set(number, 1);
  }
  return one;
}

const arrival = (number: number, sequence = number + 1) => ({
  id: `a/s/${sequence}`,
  stream: "s",
  sequence,
  payload: payloadOf(number, traffic),
});

t.test("the judge finds what is wrong, each thing under its name", async (t) => {
  const all = [0, 1, 2, 3].map((n) => arrival(n));
  const judged = (arrivals: typeof all, told = NOTHING) => judge(publisher(4), arrivals, told);
  const clean = { lost: [], duplicates: [], wrong: [], disordered: [], overtaken: [], repeated: 0 };
  t.match(judged(all), clean);
  t.match(judged([...all, ...all]), { ...clean, repeated: 4 }, "repeats are taken out by id");
  t.match(judged(all.slice(0, 3)), { ...clean, lost: [3] });
  t.match(judged(all.slice(1)).disordered, ["a/s/2"], "a gap");
  t.same(
    judged(all.slice(1), { gaps: true, refusals: false }).disordered,
    [],
    "a gap that was told",
  );
  const swapped = [arrival(0), arrival(2, 2), arrival(1, 3), arrival(3)];
  t.match(judged(swapped), { ...clean, overtaken: ["a/s/3"] });
  t.match(judged([...all, arrival(3, 5)]).duplicates, ["a/s/5"], "sent once, there twice");
  const reused = [...all.slice(0, 3), { ...arrival(3), id: "a/s/1", sequence: 1 }];
  t.match(judged(reused), { lost: [3], duplicates: ["a/s/1"] }, "an id for two readings");
  t.match(judged([{ ...arrival(0), payload: "0 bent" }, ...all.slice(1)]).wrong, ["a/s/1"]);
});

t.test("a seed is one schedule; every fault is drawn by and by, and can be done", async (t) => {
  const drawn = new Set<string>();
  for (let n = 0; n < 300; n++) {
    const schedule = drawSchedule(`seed-${n}`, FAULTS, true);
    t.same(drawSchedule(`seed-${n}`, FAULTS, true), schedule);
    for (const { fault } of schedule.steps) drawn.add(fault);
  }
  t.same([...drawn].sort(), FAULTS.map(({ name }) => name).sort());
  t.same(Object.keys(ACTS).sort(), [...drawn].sort());
});

t.test("a run counts at each of its faults, and one that failed fails all", async (t) => {
  const schedule = drawSchedule("one", FAULTS.slice(0, 1), false);
  const verdict = judge(publisher(4), [arrival(0), arrival(1)], NOTHING);
  const { name = "" } = FAULTS[0] ?? {};
  const result: RunResult = {
    schedule: { ...schedule, steps: schedule.steps.slice(0, 1) },
    ok: false,
    verdict,
    toldLost: 0,
    recoveries: [{ fault: name, ms: 12 }],
    seconds: 1,
  };
  const summary = summarize([result]);
  t.match(summary, { ok: false, failed: ["one"], faults: [{ fault: name, lost: 2 }] });
  t.match(table(summary), /upstream-killed +1 +4 +2 +0 .*12 ms[^]*FAILED: one/);
});

t.test("agents that lost their broker together do not come back together", async (t) => {
  const limits = { retryMinMs: 1_000, retryMaxMs: 60_000 };
  const slots = Array.from({ length: 60 }, () => 0);
  for (let agent = 0; agent < 10_000; agent++) {
    // The seventh attempt: a broker that was away for a minute or two.
    const ms = backoffMs(7, limits, new SeededRandom(agent));
    const slot = Math.min(59, Math.floor(ms / 1_000));
    slots[slot] = (slots[slot] ?? 0) + 1;
  }
  t.ok(Math.max(...slots) < 260, `at most ${Math.max(...slots)} of 10,000 within one second of 60`);
});
