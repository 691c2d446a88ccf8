// A fleet of which every agent knows but a part, and in which nobody can have a link to everybody, learns all the same. What 1,000 and 10,000
// agents do is run by hand (docs/simulator.md); this is the same on a small scale.
import t from "tap";
import { resolveScenario } from "../../src/simulator/run/scenario.ts";
import { simulate } from "../../src/simulator/run/simulation.ts";

t.setTimeout(300_000);

const AGENTS = 70;
const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);

t.test("70 agents with tables of 24", async (t) => {
  const document = {
    agents: AGENTS,
    membersMax: 24,
    hours: 0.008,
    consensus: "raft",
    readings: { perHour: 0 },
    learning: { trains: "stand-in", gatherSeconds: 5 },
    healWithinMinutes: 5,
  };
  const result = await simulate({ scenario: resolveScenario(document, "the test"), seed });
  t.same(result.violations, []);
  const { rounds = 0, updates = 0 } = result.learned ?? {};
  t.ok(rounds >= 4, `${rounds} rounds: those who decide are found by everybody`);
  const share = updates / rounds / AGENTS;
  t.ok(share > 0.9, `${(100 * share).toFixed(1)} % of the agents are counted in a round`);
  const perAgentSecond = result.events / AGENTS / (result.virtualMs / 1_000);
  t.ok(perAgentSecond < 60, `${perAgentSecond.toFixed(1)} events per agent and second`);
  t.comment(`${result.bytesPerAgentMinute} bytes per agent and minute`);
});
