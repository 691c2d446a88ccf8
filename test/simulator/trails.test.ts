// Trails between agents as they are composed, in virtual time: each counts ticks by its own clock.
import t from "tap";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const level = (agent: RelayAgent, trail: string): number =>
  agent.agent.context.trails.list(10, trail)[0]?.level ?? 0;

const areNear = (one: number, other: number, share = 0.25): boolean =>
  Math.abs(one - other) <= share * Math.max(one, other);

async function chain(seed: string): Promise<{ world: RelayWorld; agents: RelayAgent[] }> {
  const world = new RelayWorld(seed);
  const agents = ["a", "b", "c"].map((id) => world.agent(id, []));
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("all to know each other", () =>
    agents.every((agent) => agent.agent.context.mesh.status().members.alive === 3),
  );
  return { world, agents };
}

t.test("a deposit is smelled everywhere, counted once, and evaporates", async (t) => {
  const { world, agents } = await chain("spread");
  const [a, b, c] = agents as [RelayAgent, RelayAgent, RelayAgent];
  t.equal(a.agent.context.trails.deposit("north", 10), 10);
  await world.until("all to smell it", () => agents.every((agent) => level(agent, "north") > 0));
  b.agent.context.trails.deposit("north", 5);
  await world.clock.advance(5_000);
  for (const agent of agents) t.ok(areNear(level(agent, "north"), 15), agent.id);
  const before = level(c, "north");
  await world.clock.advance(66_000);
  for (const agent of agents)
    t.ok(areNear(level(agent, "north"), before / 2), `${agent.id}: half is gone after 6.6 ticks`);
  await world.clock.advance(2_000_000);
  for (const agent of agents) t.same(agent.agent.context.trails.list(10, ""), [], "all is gone");
  t.same(c.agent.context.trails.summary(), {
    ...c.agent.context.trails.summary(),
    trails: 0,
    deposits: 0,
  });
});

t.test("each deposit is told once, and nothing while nothing is deposited", async (t) => {
  const { world, agents } = await chain("quiet");
  const told = (): number =>
    agents.reduce((sum, agent) => {
      const { counters } = agent.agent.context.trails.summary();
      return sum + Object.values(counters ?? {}).reduce((all, count) => all + count, 0);
    }, 0);
  await world.clock.advance(60_000);
  t.equal(told(), 0);
  agents[0]?.agent.context.trails.deposit("x", 1);
  await world.clock.advance(60_000);
  const once = told();
  t.ok(once >= 2 && once <= 6, "two agents heard of it, from one neighbour or both");
  await world.clock.advance(600_000);
  t.equal(told(), once, "and of nothing after that");
});

t.test(
  "who begins anew is told what there is, and its own deposits still count once",
  async (t) => {
    const { world, agents } = await chain("anew");
    const [a, b, c] = agents as [RelayAgent, RelayAgent, RelayAgent];
    a.agent.context.trails.deposit("north", 20);
    await world.clock.advance(5_000);
    a.crash();
    await world.clock.advance(20_000);
    await a.start(b, c);
    await world.until("it to be told", () => level(a, "north") > 0);
    t.ok(areNear(level(a, "north"), level(b, "north")));
    a.agent.context.trails.deposit("north", 20);
    await world.clock.advance(5_000);
    for (const agent of agents) {
      t.ok(level(agent, "north") > 25, `${agent.id}: what is left of the first, and the second`);
      t.ok(level(agent, "north") < 40, agent.id);
    }
  },
);

t.test("two sides of a partition come to smell the same", async (t) => {
  const { world, agents } = await chain("sides");
  const [a, b, c] = agents as [RelayAgent, RelayAgent, RelayAgent];
  world.ether.partition([[a.peer], [b.peer, c.peer]]);
  await world.clock.advance(30_000);
  a.agent.context.trails.deposit("here", 10);
  b.agent.context.trails.deposit("there", 10);
  c.agent.context.trails.deposit("there", 10);
  await world.clock.advance(20_000);
  t.equal(level(a, "there"), 0);
  t.ok(level(c, "there") > 10);
  world.ether.heal();
  await world.until(
    "all to smell the same",
    () =>
      agents.every((agent) => level(agent, "here") > 0 && level(agent, "there") > 0) &&
      areNear(level(a, "there"), level(b, "there")),
  );
  t.equal(new Set(agents.map((agent) => agent.agent.context.trails.summary().deposits)).size, 1);
});

t.test("choices follow the trail, but for those that explore", async (t) => {
  const { world, agents } = await chain("choices");
  const [a, b] = agents as [RelayAgent, RelayAgent];
  for (let count = 0; count < 5; count++) a.agent.context.trails.deposit("good", 100);
  await world.clock.advance(5_000);
  const options = ["good", "bad", "ugly"].map((trail) => ({ trail, heuristic: 1 }));
  const counts = [0, 0, 0];
  for (let draw = 0; draw < 1_000; draw++) {
    const choice = b.agent.context.trails.choose(options);
    const { index = 0 } = choice ?? {};
    counts[index] = (counts[index] ?? 0) + 1;
  }
  const [good = 0, bad = 0, ugly = 0] = counts;
  t.ok(good > 800 && good < 920, `${good} follow it: 800 by smell, and a third of 200 by chance`);
  t.ok(bad > 30 && ugly > 30, "others are tried too");
  t.throws(() => b.agent.context.trails.deposit("x".repeat(129), 1), RangeError);
});
