// Two more worked examples of docs/tasks.md are what happens.
import t from "tap";
import { sameAsDocumented } from "../support/consensus/documented-trace.ts";
import { orderOf } from "../support/coordination/orders.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

const KINDS = 'coordination.tasks.kinds=[{"name":"measure"}]';

t.test("in turns", async (t) => {
  const world = new RelayWorld("tasks in turns");
  const gateway = world.agent("gateway", [], ["power.mode=normal"]);
  const workers = ["pi-1", "pi-2", "sensor"].map((id) =>
    world.agent(id, [], ["power.mode=normal", KINDS]),
  );
  const [, , sensor] = workers;
  if (sensor !== undefined) sensor.body.device.battery = { chargePercent: 90, charging: false };
  const all = [gateway, ...workers];
  for (const [at, agent] of all.entries()) await agent.start(...all.slice(0, at));
  await world.until("all to know each other", () =>
    all.every((agent) => agent.agent.context.mesh.status().members.alive === all.length),
  );
  await world.clock.advance(60_000);
  const lines: string[] = [];
  for (let count = 1; count <= 10; count++) {
    const { tasks } = gateway.agent.context;
    const { id } = await world.settle(tasks.order(orderOf({ method: "distribution" })));
    await world.until("it to be offered", () => workers.some((one) => offersOf(one) > 0));
    const worker = workers.find((one) => offersOf(one) > 0);
    worker?.agent.context.tasks.answer(id, { kind: "done", output: String(count) });
    await world.until("it to be done", () => tasks.get(id)?.state === "done");
    lines.push(`measurement ${String(count).padStart(2)}  ${worker?.id}`);
    await world.clock.advance(1_000);
  }
  sameAsDocumented(t, "tasks.md", lines, "## In turns, an example");
});

const offersOf = ({ agent }: RelayAgent): number => agent.context.tasks.offers().length;

t.test("trails", async (t) => {
  const world = new RelayWorld("trails in a row");
  const agents = ["a", "b", "c"].map((id) => world.agent(id, []));
  const [a, b, c] = agents as [RelayAgent, RelayAgent, RelayAgent];
  const ends = new Set([a.peer, c.peer]);
  world.ether.sever((from, to) => ends.has(from) && ends.has(to));
  await a.start();
  await b.start(a);
  await c.start(b);
  await world.until("all to know each other", () =>
    agents.every(({ agent }) => agent.context.mesh.status().members.alive === 3),
  );
  const lines = [`${"".padEnd(9)}${agents.map(({ id }) => id.padStart(7)).join("")}`];
  const look = (atS: number): void => {
    const levels = agents.map(({ agent }) => agent.context.trails.list(1, "")[0]?.level ?? 0);
    const words = levels.map((level) => level.toFixed(2).padStart(7));
    lines.push(`${String(atS).padStart(5)} s  ${words.join("")}`);
  };
  look(0);
  a.agent.context.trails.deposit("ways/north", 10);
  for (let atS = 5; atS <= 100; atS += 5) {
    await world.clock.advance(5_000);
    if (atS % 10 === 0 || atS < 30) look(atS);
    if (atS === 20) c.agent.context.trails.deposit("ways/north", 10);
  }
  sameAsDocumented(t, "tasks.md", lines, "### An example");
});
