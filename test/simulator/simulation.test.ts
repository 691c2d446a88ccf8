// The simulator itself: the same seed is the same world, and what it says of a world is true.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { planFaults } from "../../src/simulator/faults/plan.ts";
import { findDivergence } from "../../src/simulator/run/divergence.ts";
import { withoutRealWorld } from "../../src/simulator/run/forbidden-calls.ts";
import { reportHtml } from "../../src/simulator/run/report-html.ts";
import { resolveScenario, scenarios } from "../../src/simulator/run/scenario.ts";
import { shrink } from "../../src/simulator/run/shrink.ts";
import {
  type SimulationParts,
  type SimulationResult,
  simulate,
} from "../../src/simulator/run/simulation.ts";
import { CHECKPOINT_EVENTS } from "../../src/simulator/trace.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);
const small = resolveScenario(
  { ...scenarios["everything"]?.document, agents: 6, hours: 0.1, intensity: 6 },
  "the test",
);
const main = resolve(import.meta.dirname, "../../src/main.ts");

t.test("the same seed is the same world: twice here, and in another process", async (t) => {
  const one = await simulate({ scenario: small, seed });
  t.equal(await findDivergence({ scenario: small, seed }, simulate), undefined);
  const words = ["simulate", "--agents=6", "--hours=0.1", "--intensity=6", "--json"];
  const other = spawnSync(process.execPath, [main, ...words, `--seed=${seed}`], {
    encoding: "utf8",
  });
  const { traceHash, events } = JSON.parse(other.stdout) as SimulationResult;
  t.equal(traceHash, one.traceHash);
  t.equal(events, one.events);
  t.ok(events > CHECKPOINT_EVENTS, `${events} events: hashes were compared on the way`);
  const elsewhere = await simulate({ scenario: small, seed: `${seed}+` });
  t.not(elsewhere.traceHash, traceHash, "another seed is another world");
});

t.test("two runs that differ: the first event that does is named", async (t) => {
  let runs = 0;
  const wavering = (parts: SimulationParts): Promise<SimulationResult> => {
    const odd = runs++ % 2 === 1;
    return simulate({
      ...parts,
      onJoined: (fleet) => {
        fleet.clock.setTimer("planted", 240_000, () => {
          if (odd) fleet.note("planted", 3, 17);
        });
      },
    });
  };
  const divergence = await findDivergence({ scenario: small, seed }, wavering);
  t.match(divergence, { other: /^event \d+ at 300000 ms: planted of agent 3 \(17\)$/ });
  const index = Number(/event (\d+)/.exec(divergence?.other ?? "")?.[1]);
  t.match(divergence?.one, new RegExp(`^event ${index} `));
  t.ok(index > CHECKPOINT_EVENTS, "somewhere in the middle");
});

t.test(
  "with --fail-fast a run ends at the first broken promise; one that keeps all is the same run",
  async (t) => {
    const broken = await simulate({
      scenario: small,
      seed,
      failFast: true,
      onJoined: ({ clock, violations }) => {
        clock.setTimer("planted", 30_500, () => {
          violations.add(clock.monotonicMs(), "planted", "for the test");
        });
      },
    });
    t.match(broken.violations, [{ promise: "planted" }]);
    t.equal(
      broken.violationCount,
      1,
      "nothing is said of what came later, as of readings that had not arrived",
    );
    t.ok(broken.virtualMs - (broken.violations[0]?.atMs ?? 0) < 1_000, `at ${broken.virtualMs} ms`);
    t.match(broken, { failedFast: true, healedInMs: undefined });

    const whole = await simulate({ scenario: small, seed });
    const kept = await simulate({ scenario: small, seed, failFast: true });
    t.equal(kept.traceHash, whole.traceHash);
    t.match(kept, { failedFast: false, healedInMs: whole.healedInMs });
  },
);

t.test("in a simulation nobody may ask for real time or chance", async (t) => {
  const calls: Record<string, () => unknown> = {
    "Date.now": () => Date.now(),
    "new Date": () => new Date(),
    "Math.random": () => Math.random(),
    "performance.now": () => performance.now(),
    setTimeout: () => setTimeout(() => undefined, 1),
    getRandomValues: () => crypto.getRandomValues(new Uint8Array(1)),
    randomBytes: () => randomBytes(1),
  };
  await withoutRealWorld(async () => {
    for (const [name, call] of Object.entries(calls))
      t.throws(call, { name: "ForbiddenCallError" }, name);
    t.equal(new Date(0).toISOString(), "1970-01-01T00:00:00.000Z", "arithmetic is allowed");
  });
  for (const [name, call] of Object.entries(calls)) t.doesNotThrow(call, `${name} is back`);
  await sleep(1);
  await t.rejects(
    withoutRealWorld(() => Promise.reject(new Error("of its own"))),
    /of its own/,
  );
  t.ok(Date.now() > 0, "and after a failure too");
});

t.test("the plan of a seed: its beginning is the same, however long it is", async (t) => {
  const plan = (hours: number) => planFaults({ ...small, hours }, new SeededRandom(seed));
  const [short, long] = [plan(0.5), plan(2)];
  t.ok(short.length > 20 && long.length > short.length);
  t.strictSame(long.slice(0, short.length), short);
  const kinds = new Set(plan(200).map(({ kind }) => kind));
  t.same([...kinds].sort(), [...Object.keys(small.faults), "replaced"].sort());
});

t.test("shrinking leaves the faults without which all is well", async (t) => {
  const result = (failing: boolean, faults: readonly number[]): SimulationResult =>
    ({
      faultIndexes: faults,
      violations: failing ? [{ atMs: 100_000, promise: "kept", what: "it was not" }] : [],
    }) as unknown as SimulationResult;
  const all = Array.from({ length: 40 }, (_, at) => at);
  const seen: number[] = [];
  const shrunk = await shrink(
    {
      scenario: { ...small, hours: 5 },
      seed,
      runsMax: 200,
      onRun: (runs) => void seen.push(runs),
      run: ({ onlyFaults, scenario: { hours } }) =>
        Promise.resolve(
          result(
            hours > 100_000 / 3_600_000 && [7, 23, 24].every((each) => onlyFaults?.has(each)),
            [...(onlyFaults ?? [])],
          ),
        ),
    },
    result(true, all),
  );
  t.same(shrunk.faults, [7, 23, 24]);
  t.ok(shrunk.hours < 0.1);
  t.equal(shrunk.runs, seen.length);
  await t.rejects(
    shrink({ scenario: small, seed, runsMax: 1, run: simulate }, result(false, all)),
    RangeError,
  );
});

t.test("a report holds what happened, and no markup of others", async (t) => {
  const done = await simulate({ scenario: { ...small, hours: 0.02 }, seed });
  const bad = {
    ...done,
    seed: "<b>",
    violationCount: 1,
    violations: [{ atMs: 1, promise: "kept", what: "<script>" }],
  };
  const html = reportHtml(small, bad, "agent-mesh simulate --seed '<b>'");
  t.match(html, /<svg[^>]*>.*<polyline/s);
  t.notMatch(html, /<script>|<b>/);
  t.match(html, done.traceHash);
  t.equal(html.match(/<figure>/g)?.length, 6);
});

t.test("a scenario that can not be used is told key by key", async (t) => {
  t.throws(() => resolveScenario({ agents: 0, fautls: {} }, "x.yaml"), {
    name: "ScenarioError",
    message: /x\.yaml can not be used:[^]*fautls[^]*agents/,
  });
  t.throws(() => resolveScenario([], "x.yaml"), /must hold keys and values/);
  t.throws(
    () => resolveScenario({ network: { latencyMsMin: 9, latencyMsMax: 3 } }, "x.yaml"),
    /latencyMsMin is more/,
  );
});
