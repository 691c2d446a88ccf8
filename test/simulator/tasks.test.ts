// Orders and those that do them, as they are composed, in virtual time.
import t, { type Test } from "tap";
import type { Order, OrderSpec } from "../../src/coordination/tasks/order.ts";
import { orderOf } from "../support/coordination/orders.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const KINDS = 'coordination.tasks.kinds=[{"name":"measure"}]';

/** Agents that are all linked to the first, and know each other. */
async function fleet(
  seed: string,
  agents: Readonly<Record<string, readonly string[]>>,
): Promise<{ world: RelayWorld; agents: RelayAgent[] }> {
  const world = new RelayWorld(seed);
  const all = Object.entries(agents).map(([id, sets]) =>
    world.agent(id, [], ["power.mode=normal", ...sets]),
  );
  for (const [at, agent] of all.entries()) await agent.start(...all.slice(0, at));
  await world.until("all to know each other", () =>
    all.every((agent) => agent.agent.context.mesh.status().members.alive === all.length),
  );
  await world.clock.advance(2_000);
  return { world, agents: all };
}

function order(world: RelayWorld, agent: RelayAgent, spec: Partial<OrderSpec>): Promise<Order> {
  return world.settle(agent.agent.context.tasks.order(orderOf(spec)));
}

const stateOf = (agent: RelayAgent, { id }: Order): Order => {
  const found = agent.agent.context.tasks.get(id);
  if (found === undefined) throw new Error(`${agent.id} does not know ${id}`);
  return found;
};

const whats = ({ history }: Order): string[] =>
  history.map(({ what, agent }) => (agent === undefined ? what : `${what} ${agent.agentId}`));

/** Programs on the device answer everything that they are offered, after a while. */
function programs(world: RelayWorld, agent: RelayAgent, workMs: number, output: string): void {
  const look = (): void => {
    let alive = true;
    try {
      const { tasks } = agent.agent.context;
      for (const { id } of tasks.offers())
        world.clock.setTimer("program", workMs, () => {
          tasks.answer(id, { kind: "done", output });
        });
    } catch {
      alive = false;
    }
    if (alive) world.clock.setTimer("programs", 500, look);
  };
  look();
}

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

t.test("what one agent orders, another does", async (t) => {
  const { world, agents } = await fleet("plain", { boss: [], worker: [KINDS], other: [] });
  const [boss, worker] = agents as [RelayAgent, RelayAgent];
  const taken = await order(world, boss, {});
  await world.until("it to be offered", () => worker.agent.context.tasks.offers().length === 1);
  t.match(worker.agent.context.tasks.offers(), [
    { id: taken.id, kind: "measure", input: '{"room":7}', from: boss.peer },
  ]);
  t.match(JSON.parse(Buffer.from(worker.body.broker.published.at(-1)!.payload).toString()), {
    id: taken.id,
    kind: "measure",
    input: { room: 7 },
  });
  const topic = `agent-mesh/worker/$tasks/measure/${taken.id}`;
  t.equal(worker.body.broker.published.at(-1)!.topic, topic);
  await world.settle(worker.body.broker.receive(`${topic}/result`, Buffer.from('{"progress":50}')));
  await world.until("progress", () => stateOf(boss, taken).contractors[0]?.percent === 50);
  await world.settle(worker.body.broker.receive(`${topic}/result`, Buffer.from("nonsense")));
  await world.settle(
    worker.body.broker.receive(`${topic}/result`, Buffer.from('{"output":{"celsius":21}}')),
  );
  await world.until("it to be done", () => stateOf(boss, taken).state === "done");
  t.match(stateOf(boss, taken), {
    results: [{ agentId: "worker", output: '{"celsius":21}' }],
    contractors: [{ agentId: "worker", state: "done", percent: 100 }],
    attempts: 1,
  });
  t.same(whats(stateOf(boss, taken)), [
    "ordered",
    "announced",
    "bid worker",
    "awarded worker",
    "accepted worker",
    "result worker",
    "done",
  ]);
  const types = boss.agent.context.events.since(0).events.map(({ type }) => type);
  t.same(
    types.filter((type) => type.startsWith("task.")),
    ["task.ordered", "task.awarded", "task.done"],
  );
  await stopAll(t, world);
});

t.test("an agent that dies with a task in hand: another does it", async (t) => {
  for (const method of ["contract-net", "distribution"] as const) {
    const { world, agents } = await fleet(`death ${method}`, {
      boss: [],
      one: [KINDS],
      two: [KINDS],
    });
    const [boss, one, two] = agents as [RelayAgent, RelayAgent, RelayAgent];
    const taken = await order(world, boss, { method });
    await world.until("it to be awarded", () => stateOf(boss, taken).state === "working");
    const [victim] = stateOf(boss, taken).contractors;
    const [dying, other] = victim?.agentId === "one" ? [one, two] : [two, one];
    dying.crash();
    programs(world, other, 1_000, '"done"');
    await world.until("it to be done", () => stateOf(boss, taken).state === "done");
    t.match(stateOf(boss, taken).results, [{ agentId: other.id, output: '"done"' }], method);
    t.equal(stateOf(boss, taken).failures, 0, "what an agent leaves behind costs no attempt");
    await boss.stop();
    await other.stop();
  }
});

t.test("work that fails is tried elsewhere, so often and no more", async (t) => {
  for (const method of ["contract-net", "distribution"] as const) {
    const { world, agents } = await fleet(`failure ${method}`, { boss: [], one: [KINDS] });
    const [boss, one] = agents as [RelayAgent, RelayAgent];
    const taken = await order(world, boss, { method, retriesMax: 2 });
    for (let attempt = 0; attempt < 3; attempt++) {
      await world.until("work", () => one.agent.context.tasks.offers().length === 1);
      one.agent.context.tasks.answer(taken.id, { kind: "failed", reason: "no film" });
    }
    await world.until("it to have failed", () => stateOf(boss, taken).state === "failed");
    t.match(stateOf(boss, taken), { fault: "attempts", failures: 3, attempts: 3 }, method);
    t.equal(boss.agent.context.tasks.summary().counters.retries, 2);
    await stopAll(t, world);
  }
});

t.test("whoever took an order goes on with it after a power cut", async (t) => {
  const { world, agents } = await fleet("power cut", { boss: [], worker: [KINDS] });
  const [boss, worker] = agents as [RelayAgent, RelayAgent];
  const taken = await order(world, boss, {});
  const later = await order(world, boss, { after: [taken.id], method: "distribution" });
  await world.until("it to be worked on", () => worker.agent.context.tasks.offers().length === 1);
  boss.crash();
  await world.clock.advance(2_000);
  await boss.start(worker);
  programs(world, worker, 1_000, '"twice is no harm"');
  await world.until("both to be done", () => stateOf(boss, later).state === "done");
  t.match(stateOf(boss, taken), { state: "done", results: [{ output: '"twice is no harm"' }] });
  t.ok(whats(stateOf(boss, taken)).includes("restarted"));
  boss.crash();
  await boss.start(worker);
  t.match(
    stateOf(boss, taken),
    { results: [{ output: '"twice is no harm"' }] },
    "results are kept",
  );
  t.equal(boss.agent.context.tasks.orders().length, 2);
  await world.clock.advance(5_000);
  t.same(worker.agent.context.tasks.offers(), [], "what has ended is not begun again");
  await worker.stop();
  await boss.stop();
});

t.test("a deadline counts on while the power is off", async (t) => {
  const { world, agents } = await fleet("deadline", { boss: [], worker: [KINDS] });
  const [boss, worker] = agents as [RelayAgent, RelayAgent];
  const taken = await order(world, boss, { deadlineMs: 60_000 });
  const soon = await order(world, boss, { deadlineMs: 20_000 });
  await world.until("it to have failed", () => stateOf(boss, soon).state === "failed", 25_000);
  t.equal(stateOf(boss, soon).fault, "deadline");
  boss.crash();
  await world.clock.advance(61_000);
  await boss.start(worker);
  t.match(stateOf(boss, taken), { state: "failed", fault: "deadline" });
  await worker.stop();
  await boss.stop();
});

t.test("the other side of a partition is replaced, and its result does not count", async (t) => {
  const { world, agents } = await fleet("partition", { boss: [], one: [KINDS], two: [KINDS] });
  const [boss, one, two] = agents as [RelayAgent, RelayAgent, RelayAgent];
  const taken = await order(world, boss, {});
  await world.until("it to be awarded", () => stateOf(boss, taken).state === "working");
  const cut = stateOf(boss, taken).contractors[0]?.agentId === "one" ? one : two;
  const other = cut === one ? two : one;
  world.ether.partition([[cut.peer], [boss.peer, other.peer]]);
  programs(world, other, 1_000, '"here"');
  programs(world, cut, 40_000, '"there"');
  await world.until("it to be done", () => stateOf(boss, taken).state === "done");
  t.match(stateOf(boss, taken).results, [{ agentId: other.id, output: '"here"' }]);
  world.ether.heal();
  await world.clock.advance(120_000);
  t.equal(stateOf(boss, taken).results.length, 1);
  t.same(cut.agent.context.tasks.offers(), [], "nobody works on for nothing");
  await stopAll(t, world);
});

t.test("what nobody can do is refused at once, with what is missing", async (t) => {
  const { world, agents } = await fleet("unmet", {
    boss: [],
    worker: [KINDS, 'coordination.roles.skills=["camera"]'],
  });
  const [boss, worker] = agents as [RelayAgent, RelayAgent];
  const refusal = async (spec: Partial<OrderSpec>): Promise<string> => {
    try {
      await order(world, boss, spec);
      return "taken";
    } catch (error) {
      return error instanceof Error && "code" in error
        ? `${String(error.code)}: ${error.message}`
        : "?";
    }
  };
  t.match(await refusal({ kind: "fly" }), /tasks.unmet: nobody in the fleet has: kind fly/);
  t.match(await refusal({ needs: ["lidar", "camera"] }), /has: skill lidar$/);
  t.match(await refusal({ memoryBytes: 2 ** 50 }), /has: memory$/);
  t.match(await refusal({ agentsMin: 2, agentsMax: 2 }), /2 agents are needed .*, and 1 can/);
  t.match(await refusal({ after: ["nothing"] }), /tasks.dependency/);
  t.match(await refusal({ method: "distribution", agentsMax: 2 }), /tasks.invalid/);
  t.match(await refusal({ input: `"${"x".repeat(65_536)}"` }), /tasks.invalid/);
  t.match(await refusal({ needs: ["camera", "mains"] }), /^taken$/);
  t.equal(boss.agent.context.tasks.summary().counters.refused, 7);
  programs(world, worker, 100, "1");
  const [taken] = boss.agent.context.tasks.orders();
  await world.until("the rest to be done", () => stateOf(boss, taken!).state === "done");
  await stopAll(t, world);
});

t.test("several agents for one task, each does all of it", async (t) => {
  const { world, agents } = await fleet("several", {
    boss: [KINDS],
    one: [KINDS],
    two: [KINDS],
    three: [KINDS],
  });
  const [boss] = agents as [RelayAgent];
  for (const agent of agents) programs(world, agent, 1_000, `"by ${agent.id}"`);
  const taken = await order(world, boss, { agentsMin: 2, agentsMax: 3 });
  await world.until("it to be done", () => stateOf(boss, taken).state === "done");
  const { results, bids } = stateOf(boss, taken);
  t.equal(bids.length, 4, "this agent bids like any other");
  t.equal(new Set(results.map(({ agentId }) => agentId)).size, 3);
  await stopAll(t, world);
});

t.test("tasks wait for each other; what waits for a failure fails", async (t) => {
  const { world, agents } = await fleet("order", { boss: [], worker: [KINDS] });
  const [boss, worker] = agents as [RelayAgent, RelayAgent];
  const first = await order(world, boss, {});
  const second = await order(world, boss, { after: [first.id], method: "distribution" });
  const third = await order(world, boss, { after: [first.id, second.id] });
  t.equal(stateOf(boss, third).state, "waiting");
  programs(world, worker, 1_000, "1");
  await world.until("all to be done", () => stateOf(boss, third).state === "done");
  t.ok(stateOf(boss, second).endedAtMs! <= stateOf(boss, third).endedAtMs!);
  worker.crash();
  const base = await order(world, boss, { retriesMax: 0 });
  const waiting = await order(world, boss, { after: [base.id] });
  boss.agent.context.tasks.cancel(base.id);
  t.match(stateOf(boss, base), { state: "cancelled" });
  t.match(stateOf(boss, waiting), { state: "failed", fault: "dependency", detail: base.id });
  await boss.stop();
});

t.test("a task that is cancelled is worked on no more", async (t) => {
  for (const method of ["contract-net", "distribution"] as const) {
    const { world, agents } = await fleet(`cancel ${method}`, { boss: [], worker: [KINDS] });
    const [boss, worker] = agents as [RelayAgent, RelayAgent];
    const taken = await order(world, boss, { method });
    await world.until("work", () => worker.agent.context.tasks.offers().length === 1);
    boss.agent.context.tasks.cancel(taken.id);
    t.equal(stateOf(boss, taken).state, "cancelled", method);
    await world.clock.advance(1_000);
    t.same(worker.agent.context.tasks.offers(), []);
    t.equal(worker.agent.context.tasks.summary().work.taken, 0);
    await stopAll(t, world);
  }
});

t.test("with every fifth frame lost and links that break, many tasks are done", async (t) => {
  const { world, agents } = await fleet("bad weather", {
    boss: [KINDS],
    one: [KINDS],
    two: [KINDS],
    three: ["power.mode=critical", KINDS],
  });
  const [boss, , , tired] = agents as [RelayAgent, RelayAgent, RelayAgent, RelayAgent];
  for (const agent of agents) programs(world, agent, 2_000, `"by ${agent.id}"`);
  world.ether.change({ lossRate: 0.2, breakRate: 0.002 });
  const all: Order[] = [];
  for (let count = 0; count < 40; count++)
    all.push(
      await order(world, boss, {
        method: count % 2 === 0 ? "contract-net" : "distribution",
        deadlineMs: 1_800_000,
        retriesMax: 20,
      }),
    );
  await world.until(
    "all to end",
    () => all.every((one) => stateOf(boss, one).endedAtMs),
    1_900_000,
  );
  const ends = all.map((one) => stateOf(boss, one));
  t.same([...new Set(ends.map(({ state }) => state))], ["done"]);
  const doers = new Set(ends.flatMap(({ results }) => results.map(({ agentId }) => agentId)));
  t.notOk(doers.has(tired.id), "who saves its power takes nothing");
  t.equal(doers.size, 3, "each of the others has its share");
  t.same(
    agents.map((agent) => agent.agent.context.tasks.summary().net?.["malformed-message"]),
    [0, 0, 0, 0],
  );
  await stopAll(t, world);
});
