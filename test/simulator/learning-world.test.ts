// A fleet that learns in the simulator, through faults, with everything that was decided gone over again.
import t from "tap";
import { resolveScenario, ScenarioError, scenarios } from "../../src/simulator/run/scenario.ts";
import { simulate } from "../../src/simulator/run/simulation.ts";

const FIRST_SEED = Number(process.env["LEARNING_FIRST_SEED"] ?? 1);
const SEEDS = Number(process.env["LEARNING_SEEDS"] ?? 1);
t.setTimeout(600_000);

for (const buffered of [0, 3])
  t.test(buffered === 0 ? "synchronous rounds" : "buffered rounds", async (t) => {
    const document = { ...scenarios["learning"]?.document, agents: 7, hours: 0.04 };
    const learning = { trains: "model", faultyAgents: 1, buffered };
    const scenario = resolveScenario({ ...document, learning }, "the test");
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const { violations, learned, faultIndexes } = await simulate({ scenario, seed: `${seed}` });
      t.same(violations, [], `LEARNING_FIRST_SEED=${seed}`);
      t.ok(faultIndexes.length > 0 && (learned?.rounds ?? 0) >= 3, JSON.stringify(learned));
      t.comment(`seed ${seed}: ${JSON.stringify(learned)}`);
    }
  });

t.test("a stand-in trains nothing, and its rounds are gone over all the same", async (t) => {
  const scenario = resolveScenario(
    {
      agents: 6,
      hours: 0.01,
      consensus: "raft",
      readings: { perHour: 0 },
      learning: { trains: "stand-in" },
    },
    "the test",
  );
  const one = await simulate({ scenario, seed: "1" });
  t.same(one.violations, []);
  t.match(one.learned, { rounds: Number, updates: Number });
  t.equal(one.learned?.accuracy, undefined);
});

t.test("a world that can not learn says what it lacks", async (t) => {
  t.throws(() => resolveScenario({ learning: { trains: "model" } }, "x.yaml"), ScenarioError);
  t.throws(
    () => resolveScenario({ learning: { trains: "model" } }, "x.yaml"),
    /needs a committee: set consensus/,
  );
});
