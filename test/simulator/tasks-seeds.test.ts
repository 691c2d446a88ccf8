// Whatever befalls a fleet: every order ends once, by its deadline, and as it says.
import t from "tap";
import { isEnded, type Order } from "../../src/coordination/tasks/order.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { orderOf } from "../support/coordination/orders.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env["SIM_RUNS"] ?? 6);
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it, SIM_RUNS=… makes more of it)`);
t.setTimeout(600_000);

const DEADLINE_MS = 240_000;
const SETS = [
  "power.mode=normal",
  "coordination.tasks.capacity=2",
  'coordination.tasks.kinds=[{"name":"measure","timeoutMs":30000}]',
];

class Fleet {
  readonly world: RelayWorld;
  readonly agents: readonly RelayAgent[];
  readonly up = new Set<RelayAgent>();
  readonly faults: string[] = [];
  readonly #random: SeededRandom;
  readonly #ends = new Map<string, number>();
  readonly #seen = new Set<string>();

  constructor(name: string) {
    this.world = new RelayWorld(name);
    this.#random = new SeededRandom(`${name}/events`);
    this.agents = ["a", "b", "c", "d", "e"].map((id) => this.world.agent(id, [], SETS));
  }

  draw<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.#random.next() * all.length)];
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }

  async start(agent: RelayAgent): Promise<void> {
    await agent.start(...this.agents.filter((other) => other !== agent));
    this.up.add(agent);
    agent.agent.context.events.subscribe(({ type, data }) => {
      if (!["task.done", "task.failed", "task.cancelled"].includes(type)) return;
      const id = String(data["taskId"]);
      this.#ends.set(id, (this.#ends.get(id) ?? 0) + 1);
    });
    this.#work(agent);
  }

  crash(agent: RelayAgent): void {
    this.up.delete(agent);
    agent.crash();
  }

  async order(): Promise<void> {
    const agent = this.draw([...this.up]);
    if (agent === undefined) return;
    const { tasks } = agent.agent.context;
    const agentsMin = this.chance(0.3) ? 2 : 1;
    const method = agentsMin === 1 && this.chance(0.5) ? "distribution" : "contract-net";
    const others = tasks.orders().filter((one) => one.state !== "failed");
    const dependency = this.chance(0.2) ? this.draw(others) : undefined;
    const after =
      dependency === undefined || dependency.state === "cancelled" ? [] : [dependency.id];
    const spec = orderOf({ agentsMin, agentsMax: agentsMin + 1, method, after, retriesMax: 5 });
    const one = method === "distribution" ? { ...spec, agentsMax: 1 } : spec;
    const taken = tasks.order({ ...one, deadlineMs: DEADLINE_MS, timeoutMs: 60_000 });
    // That too few are there to do it is a refusal, and no order.
    await this.world.settle(taken).catch(() => undefined);
  }

  cancel(): void {
    const agent = this.draw([...this.up]);
    const one = this.draw(agent?.agent.context.tasks.orders() ?? []);
    if (one !== undefined) agent?.agent.context.tasks.cancel(one.id);
  }

  check(): void {
    for (const agent of this.up) {
      const { tasks } = agent.agent.context;
      const { taken } = tasks.summary().work;
      if (taken > 2) this.faults.push(`${agent.id} promised ${taken} of 2`);
      for (const one of tasks.orders()) this.#checkOrder(agent, one);
    }
    for (const [id, count] of this.#ends)
      if (count > 1) this.faults.push(`${id} ended ${count} times`);
  }

  #checkOrder(agent: RelayAgent, { id, state, spec, results, orderedAt, endedAtMs }: Order): void {
    this.#seen.add(id);
    const doers = new Set(results.map(({ peer }) => peer));
    if (doers.size !== results.length) this.faults.push(`${id}: the same agent twice`);
    if (state === "done" && doers.size < spec.agentsMin) this.faults.push(`${id}: too few`);
    if (doers.size > spec.agentsMax) this.faults.push(`${id}: too many`);
    const tookMs = (endedAtMs ?? this.world.clock.wallMs()) - orderedAt.wallMs;
    // What came to its deadline while its agent was off ends when it is back.
    const isLate = state !== "failed" && tookMs > DEADLINE_MS + 1_000;
    if (isLate) this.faults.push(`${agent.id}: ${id} is ${state} after ${tookMs} ms`);
  }

  get orders(): readonly Order[] {
    return [...this.up].flatMap((agent) => [...agent.agent.context.tasks.orders()]);
  }

  /** Programs that do what they are offered, or say that they can not, or hang. */
  #work(agent: RelayAgent): void {
    const { context } = agent.agent;
    const known = new Set<string>();
    const look = (): void => {
      if (!this.up.has(agent) || agent.agent.context !== context) return;
      for (const { id } of context.tasks.offers()) {
        if (known.has(id)) continue;
        known.add(id);
        const manner = this.#random.next();
        if (manner > 0.9) continue;
        this.world.clock.setTimer("program", 20_000 * this.#random.next(), () => {
          known.delete(id);
          if (!this.up.has(agent) || agent.agent.context !== context) return;
          context.tasks.answer(
            id,
            manner < 0.2 ? { kind: "failed", reason: "no" } : { kind: "done", output: "1" },
          );
        });
      }
      this.world.clock.setTimer("programs", 500, look);
    };
    look();
  }
}

for (let run = Number(process.env["SIM_FIRST"] ?? 0); run < runs; run++)
  t.test(`seed ${seed}, run ${run}`, async (t) => {
    const fleet = new Fleet(`${seed}/${run}`);
    const { world } = fleet;
    for (const agent of fleet.agents) await fleet.start(agent);
    await world.clock.advance(20_000);
    for (let step = 0; step < 120; step++) {
      const event = fleet.draw([
        "order",
        "order",
        "order",
        "order",
        "cancel",
        "crash",
        "start",
        "start",
        "weather",
        "partition",
        "heal",
        "heal",
      ]);
      const down = fleet.agents.filter((agent) => !fleet.up.has(agent));
      if (event === "order") await fleet.order();
      if (event === "cancel") fleet.cancel();
      if (event === "crash" && fleet.up.size > 2) fleet.crash(fleet.draw([...fleet.up])!);
      if (event === "start" && down.length > 0) await fleet.start(fleet.draw(down)!);
      if (event === "weather")
        world.ether.change(
          fleet.chance(0.5) ? { lossRate: 0.2, breakRate: 0.003 } : { lossRate: 0, breakRate: 0 },
        );
      if (event === "partition") {
        const sides = fleet.agents.map(({ peer }) => ({ peer, side: fleet.chance(0.5) }));
        world.ether.partition(
          [true, false].map((side) =>
            sides.filter((one) => one.side === side).map(({ peer }) => peer),
          ),
        );
      }
      if (event === "heal") world.ether.heal();
      await world.clock.advance(fleet.chance(0.3) ? 20_000 : 2_000);
      fleet.check();
    }
    world.ether.heal();
    world.ether.change({ lossRate: 0, breakRate: 0 });
    for (const agent of fleet.agents) if (!fleet.up.has(agent)) await fleet.start(agent);
    await world.clock.advance(DEADLINE_MS + 5_000);
    fleet.check();
    t.same(fleet.faults, []);
    const states = new Map<string, number>();
    for (const { state } of fleet.orders) states.set(state, (states.get(state) ?? 0) + 1);
    t.comment(JSON.stringify(Object.fromEntries(states)));
    t.ok(fleet.orders.every(isEnded), "all orders have ended");
    t.ok((states.get("done") ?? 0) > 0, "and some were done");
    await world.clock.advance(120_000);
    for (const agent of fleet.agents) {
      const { tasks } = agent.agent.context;
      t.same(tasks.offers(), [], `${agent.id} works on nothing for nobody`);
      t.match(tasks.summary(), { work: { taken: 0 } }, `${agent.id} has all its room`);
    }
  });
