// Whole agents over the virtual network: one of them answers for all, and nobody is taken for dead by the way.
import t from "tap";
import { fleetConfigs } from "../../src/simulator/run/fleet-configs.ts";
import { resolveScenario } from "../../src/simulator/run/scenario.ts";
import { SimulatedFleet } from "../../src/simulator/simulated-fleet.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);
t.setTimeout(400_000);
const AGENTS = 120;
const TABLE = 40;

t.test(`${AGENTS} whole agents with tables of ${TABLE}`, async (t) => {
  const scenario = resolveScenario(
    { agents: AGENTS, membersMax: TABLE, readings: { perHour: 0 }, network: { lossPercent: 0 } },
    "the test",
  );
  const fleet = new SimulatedFleet(scenario, seed, fleetConfigs(scenario));
  for (let at = 0; at < AGENTS; at++) {
    fleet.add();
    await fleet.clock.advance(200);
  }
  await fleet.clock.advance(240_000);
  const viewOf = (at: number) => fleet.agents[at]!.agent!.context.mesh;
  const deaths: string[] = [];
  for (const { agent, agentId } of fleet.agents)
    agent!.context.events.subscribe(({ type, data }) => {
      if (type === "mesh.agent-dead") deaths.push(`${agentId}: ${String(data["agentId"])}`);
    });
  const linksBefore = fleet.agents.map((_, at) => viewOf(at).status().links);

  for (const asker of [0, 57, AGENTS - 1]) {
    const view = viewOf(asker);
    const { alive, suspect, dead, left } = view.counts();
    t.equal(alive + suspect + dead + left, TABLE, "its table is full");
    t.same(view.size(), { agents: AGENTS, relativeError: 0 }, "a sample with room counts");
    const [first, second] = [view.survey(100), view.survey(100)];
    await fleet.clock.advance(150);
    t.equal((await first)?.state, "running", "it does not wait for longer than it is asked to");
    t.equal((await second)?.number, (await first)?.number, "one at a time");
    await fleet.clock.advance(30_000);
    const survey = view.currentSurvey();
    t.comment(`agent ${asker}: ${JSON.stringify(survey)}`);
    t.equal(survey?.state, "done");
    t.ok((survey?.found ?? 0) >= 0.99 * AGENTS);
    const agents = view.surveyedAgents();
    t.ok(agents.length >= 0.99 * AGENTS);
    t.equal(new Set(agents.map(({ agentId }) => agentId)).size, agents.length, "each once");
    t.ok(agents.every(({ ageMs, confidence }) => ageMs >= 0 && confidence > 0 && confidence <= 1));
    t.same(
      agents.filter(({ self }) => self).map(({ confidence, ageMs }) => [confidence, ageMs]),
      [[1, 0]],
    );
    const hearsay = agents.filter(({ self, linked }) => !self && !linked);
    t.ok(hearsay.length > AGENTS / 2 && hearsay.every(({ confidence }) => confidence <= 0.9));
    t.equal((await view.survey(0))?.number, survey?.number, "it is kept");
    await fleet.clock.advance(61_000);
    t.equal(view.currentSurvey(), undefined, "for a minute");
  }

  await fleet.clock.advance(60_000);
  t.same(deaths, [], "nobody took the end of a link for a death");
  const most = Math.max(...fleet.agents.map((_, at) => viewOf(at).status().links));
  t.comment(`links: at most ${Math.max(...linksBefore)} before, ${most} after`);
  t.ok(most <= 2 * Math.max(...linksBefore), "the links of the surveys are closed again");
  for (const agent of fleet.agents) agent.crash("power-lost");
});
