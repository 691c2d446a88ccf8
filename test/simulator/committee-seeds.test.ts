// A committee under every fault: what it decides, and that it comes back. SIM_SEEDS and SIM_SEED run others.
import t from "tap";
import { resolveScenario, scenarios } from "../../src/simulator/run/scenario.ts";
import { simulate } from "../../src/simulator/run/simulation.ts";

t.setTimeout(400_000);

const first = Number(process.env["SIM_SEED"] ?? 1);
const seeds = Number(process.env["SIM_SEEDS"] ?? 2);

for (const consensus of ["raft", "pbft", "tendermint"] as const)
  t.test(`${consensus}: ${seeds} seeds from ${first}`, async (t) => {
    const scenario = resolveScenario(
      { ...scenarios["committee"]?.document, consensus },
      "committee",
    );
    for (let seed = first; seed < first + seeds; seed++) {
      const { violations, decisions, healedInMs } = await simulate({
        scenario,
        seed: String(seed),
      });
      t.same(
        violations,
        [],
        `${consensus}, seed ${seed} (SIM_SEED=${seed} SIM_SEEDS=1 repeats it)`,
      );
      t.comment(`seed ${seed}: ${decisions} decisions, healed in ${healedInMs} ms`);
    }
  });
