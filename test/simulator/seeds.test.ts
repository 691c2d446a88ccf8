// Fifty agents, every fault there is, seed after seed for as long as there is time.
import t from "tap";
import { resolveScenario, scenarios } from "../../src/simulator/run/scenario.ts";
import { simulate } from "../../src/simulator/run/simulation.ts";

/** Real time for it, more where nobody waits; the last seed that was begun is finished. */
const BUDGET_S = process.env["SIM_BUDGET_S"] ?? (process.env["CI"] === "true" ? 240 : 20);
const BUDGET_MS = 1_000 * Number(BUDGET_S);
const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? 1);
t.setTimeout(BUDGET_MS + 170_000);

t.test("fifty agents keep every promise through every fault", async (t) => {
  const scenario = resolveScenario(
    { ...scenarios["everything"]?.document, agents: 50, hours: 0.05, intensity: 10 },
    "the test",
  );
  const startMs = Date.now();
  let seeds = 0;
  let faults = 0;
  do {
    const seed = String(FIRST_SEED + seeds);
    const { violations, faultIndexes } = await simulate({ scenario, seed });
    t.same(
      violations,
      [],
      `agent-mesh simulate --scenario everything --agents 50 --intensity 10 --hours 0.05 --seed ${seed}`,
    );
    faults += faultIndexes.length;
    seeds++;
  } while (Date.now() - startMs < BUDGET_MS);
  t.comment(`${seeds} seeds from ${FIRST_SEED} on, ${faults} faults`);
  t.ok(faults > 50 * seeds, "much goes wrong in each");
});
