import * as fc from "fast-check";
import t from "tap";
import { assign } from "../../src/coordination/distribution/assign.ts";
import type { AssignmentProblem } from "../../src/coordination/distribution/assignment-problem.ts";
import { sorted } from "../../src/coordination/distribution/dependencies.ts";
import { meets } from "../../src/coordination/distribution/matching.ts";
import { defaultDistributionOptions } from "../../src/coordination/distribution/options.ts";
import { Scheduler } from "../../src/coordination/distribution/scheduler.ts";
import type { AgentOffer, Attempt, TaskSpec } from "../../src/coordination/distribution/task.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 200) });

const small: fc.Arbitrary<AssignmentProblem> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 6 }))
  .chain(([agents, jobs]) => {
    const rows = (min: number, max: number) =>
      fc.array(fc.array(fc.integer({ min, max }), { minLength: jobs, maxLength: jobs }), {
        minLength: agents,
        maxLength: agents,
      });
    return fc.record({
      costs: rows(-20, 20),
      loads: rows(0, 10),
      capacities: fc.array(fc.integer({ min: 0, max: 20 }), {
        minLength: agents,
        maxLength: agents,
      }),
    });
  });

/** The least cost of all assignments there are, by trying each. */
function leastCost({ costs, loads, capacities }: AssignmentProblem): number {
  const jobs = costs[0]?.length ?? 0;
  const left = [...capacities];
  const descend = (job: number): number => {
    if (job === jobs) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (let agent = 0; agent < capacities.length; agent++) {
      const load = loads[agent]![job]!;
      if (load > left[agent]!) continue;
      left[agent]! -= load;
      least = Math.min(least, costs[agent]![job]! + descend(job + 1));
      left[agent]! += load;
    }
    return least;
  };
  return descend(0);
}

t.test("small assignments are optimal, and found wherever there is one", async () => {
  fc.assert(
    fc.property(small, (problem) => {
      const least = leastCost(problem);
      const assignment = assign(problem, { iterationsMax: 20, nodesMax: 20_000 });
      if (assignment === "infeasible") return least === Number.POSITIVE_INFINITY;
      if (assignment === "not-found") return false;
      const used = problem.capacities.map(() => 0);
      for (const [job, agent] of assignment.agentOf.entries())
        used[agent]! += problem.loads[agent]![job]!;
      return (
        assignment.isOptimal &&
        Math.abs(assignment.cost - least) < 1e-9 &&
        used.every((load, agent) => load <= problem.capacities[agent]!)
      );
    }),
  );
});

t.test("a batch is put in order, but for those that wait for a circle, which is one", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  fc.assert(
    fc.property(fc.tuple(...ids.map(() => fc.subarray(ids, { maxLength: 2 }))), (afters) => {
      const batch = new Map(ids.map((id, at) => [id, { after: afters[at]! }]));
      const { order, cycles } = sorted(batch);
      const place = new Map(order.map((id, at) => [id, at]));
      for (const id of order)
        for (const other of batch.get(id)!.after)
          if (!(place.get(other)! < place.get(id)!)) return false;
      for (const cycle of cycles)
        for (const [at, id] of cycle.entries())
          if (!batch.get(id)!.after.includes(cycle[(at + 1) % cycle.length]!)) return false;
      return (order.length === ids.length) === (cycles.length === 0);
    }),
  );
});

const PEERS = ["p", "q", "r", "s"];
const offer = fc.record({
  peer: fc.constantFrom(...PEERS),
  skills: fc.subarray(["camera", "gpu"]),
  memoryBytes: fc.integer({ min: 0, max: 8 }),
  cpuShare: fc.integer({ min: 0, max: 4 }),
  mains: fc.boolean(),
  tasksMax: fc.integer({ min: 0, max: 3 }),
  weight: fc.integer({ min: 1, max: 5 }),
  load: fc.double({ min: 0, max: 1, noNaN: true }),
});
const spec = fc.record({
  id: fc.constantFrom(...Array.from({ length: 12 }, (_, at) => `t${at}`)),
  needs: fc.record({
    skills: fc.subarray(["camera", "gpu"]),
    memoryBytes: fc.integer({ min: 0, max: 6 }),
    cpuShare: fc.integer({ min: 0, max: 2 }),
    mains: fc.boolean(),
  }),
  priority: fc.integer({ min: -1, max: 9 }),
  after: fc.subarray(["t0", "t1", "t2", "t3"], { maxLength: 2 }),
  deadlineMs: fc.integer({ min: 1, max: 200_000 }),
  timeoutMs: fc.integer({ min: 1, max: 50_000 }),
  attemptsMax: fc.integer({ min: 1, max: 3 }),
});
const action = fc.oneof(
  fc.record({ kind: fc.constant("submit" as const), tasks: fc.array(spec, { maxLength: 5 }) }),
  fc.record({ kind: fc.constant("offer" as const), offer }),
  fc.record({ kind: fc.constant("gone" as const), peer: fc.constantFrom(...PEERS) }),
  fc.record({ kind: fc.constant("end" as const), which: fc.nat({ max: 20 }), ok: fc.boolean() }),
  fc.record({ kind: fc.constant("cancel" as const), which: fc.nat({ max: 11 }) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat({ max: 40_000 }) }),
);

t.test(
  "whatever happens: room is kept, order is kept, nothing is lost, and nobody is idle for nothing",
  async () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const scheduler = new Scheduler({
          // Whatever failed is tried again at once, so that whoever waits, waits for an agent.
          options: { ...defaultDistributionOptions, retryMinMs: 0, retryMaxMs: 0 },
          random: new SeededRandom("scheduler"),
        });
        const offers = new Map<string, AgentOffer>();
        const running = new Map<string, { attempt: Attempt; task: TaskSpec }>();
        const ended = new Map<string, string>();
        const taken = new Map<string, TaskSpec>();
        let nowMs = 0;
        let nextTickAtMs = Number.POSITIVE_INFINITY;
        const step = (input: Parameters<Scheduler["step"]>[0]): void => {
          const effects = scheduler.step(input);
          nextTickAtMs = effects.nextTickAtMs;
          if (nextTickAtMs < nowMs) throw new Error("a tick in the past");
          for (const { id } of effects.revoke) running.delete(id);
          for (const change of effects.changes) {
            const { id } = change;
            if (change.kind === "done" || change.kind === "failed") {
              if (ended.has(id) || !taken.has(id)) throw new Error(`${id} ends out of turn`);
              ended.set(id, change.kind);
              running.delete(id);
            }
            if (change.kind === "returned" || change.kind === "attempt-failed") running.delete(id);
            if (change.kind === "taken" && input.kind === "submit")
              taken.set(id, input.tasks.find((task) => task.id === id)!);
          }
          for (const { attempt, task } of effects.assign) {
            if (running.has(task.id)) throw new Error(`${task.id} runs twice`);
            if (!task.after.every((other) => ended.get(other) === "done"))
              throw new Error(`${task.id} runs too early`);
            if (!meets(offers.get(attempt.peer)!, task.needs)) throw new Error("unable agent");
            running.set(task.id, { attempt, task });
          }
          for (const [peer, { tasksMax, memoryBytes, cpuShare }] of offers) {
            const own = [...running.values()].filter(({ attempt }) => attempt.peer === peer);
            const sum = (of: (task: TaskSpec) => number): number =>
              own.reduce((total, { task }) => total + of(task), 0);
            const isNew = effects.assign.some(({ attempt }) => attempt.peer === peer);
            // Who offers less than before keeps what it has.
            if (
              isNew &&
              (own.length > tasksMax ||
                sum(({ needs }) => needs.memoryBytes) > memoryBytes ||
                sum(({ needs }) => needs.cpuShare) > cpuShare)
            )
              throw new Error(`${peer} has too much`);
            for (const [id, task] of taken) {
              if (ended.has(id) || running.has(id) || nextTickAtMs <= nowMs) continue;
              if (!task.after.every((other) => ended.get(other) === "done")) continue;
              if (
                meets(offers.get(peer)!, task.needs) &&
                own.length < tasksMax &&
                sum(({ needs }) => needs.memoryBytes) + task.needs.memoryBytes <= memoryBytes &&
                sum(({ needs }) => needs.cpuShare) + task.needs.cpuShare <= cpuShare
              )
                throw new Error(`${id} waits, though ${peer} has room`);
            }
          }
        };
        const wait = (ms: number): void => {
          const untilMs = nowMs + ms;
          for (;;) {
            if (nextTickAtMs > untilMs) break;
            nowMs = nextTickAtMs;
            step({ kind: "tick", nowMs });
          }
          nowMs = untilMs;
        };
        for (const one of actions) {
          wait(0);
          if (one.kind === "submit") step({ ...one, nowMs });
          if (one.kind === "offer") {
            offers.set(one.offer.peer, one.offer);
            step({ ...one, nowMs });
          }
          if (one.kind === "gone") {
            offers.delete(one.peer);
            step({ ...one, nowMs });
          }
          if (one.kind === "cancel") step({ kind: "cancel", id: `t${one.which}`, nowMs });
          const attempts = [...running.values()];
          const { attempt } = attempts[one.kind === "end" ? one.which % attempts.length : 0] ?? {};
          if (one.kind === "end" && attempt !== undefined) {
            const stale = { ...attempt, number: attempt.number + 1 };
            step({ kind: "done", attempt: stale, nowMs });
            if (one.ok) step({ kind: "done", attempt, nowMs });
            else step({ kind: "failed", attempt, reason: "no luck", nowMs });
          }
          if (one.kind === "wait") wait(one.ms);
        }
        // Every task has a deadline: all of them end.
        wait(300_000);
        return scheduler.size === 0 && [...taken.keys()].every((id) => ended.has(id));
      }),
    );
  },
);
