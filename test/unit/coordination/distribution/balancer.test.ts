import t from "tap";
import { Balancer } from "../../../../src/coordination/distribution/balancer.ts";
import { SmoothRoundRobin } from "../../../../src/coordination/distribution/smooth-round-robin.ts";
import { Worker } from "../../../../src/coordination/distribution/worker.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const NEEDS = { skills: [], memoryBytes: 0, cpuShare: 0, mains: false };
const worker = (peer: string, load: number, weight = 1): Worker =>
  new Worker({
    peer,
    skills: [],
    memoryBytes: 1,
    cpuShare: 100,
    mains: true,
    tasksMax: 10_000,
    weight,
    load,
  });

t.test("turns are smooth, as nginx's are: 5, 1, 1", async (t) => {
  const turns = new SmoothRoundRobin();
  const peers = [
    { peer: "a", weight: 5 },
    { peer: "b", weight: 1 },
    { peer: "c", weight: 1 },
  ];
  const round = (): string => Array.from({ length: 7 }, () => turns.next(peers)?.peer).join("");
  t.equal(round(), "aabacaa");
  t.equal(round(), "aabacaa");
  t.equal(turns.next([]), undefined);
});

t.test("among agents as busy as each other, tasks are in proportion to weights", async (t) => {
  const balancer = new Balancer(new SeededRandom("equal"), 0.1);
  const workers = [worker("a", 0.5, 3), worker("b", 0.45, 2), worker("c", 0.5, 1)];
  const counts = new Map<string, number>();
  for (let turn = 0; turn < 600; turn++) {
    const peer = balancer.choose(workers, NEEDS, undefined)?.peer ?? "";
    counts.set(peer, (counts.get(peer) ?? 0) + 1);
  }
  t.same(
    ["a", "b", "c"].map((peer) => [peer, counts.get(peer)]),
    [
      ["a", 300],
      ["b", 200],
      ["c", 100],
    ],
  );
});

t.test("busy ones get less, but old reports send nobody all of it", async (t) => {
  const balancer = new Balancer(new SeededRandom("loads"), 0.1);
  const workers = [
    worker("idle", 0),
    ...Array.from({ length: 9 }, (_, at) => worker(`busy${at}`, 0.9)),
  ];
  let idle = 0;
  for (let turn = 0; turn < 1_000; turn++)
    if (balancer.choose(workers, NEEDS, undefined)?.peer === "idle") idle++;
  // Its turn, or drawn as the other one: 1/10 + 9/10 × 1/10.
  t.ok(idle > 150 && idle < 230, `${idle} of 1,000`);
});

t.test("what an agent was given since its report counts, until the next one", async (t) => {
  const one = worker("a", 0.2);
  const needs = { ...NEEDS, cpuShare: 50 };
  one.give("t", needs);
  t.equal(one.load, 0.7);
  one.report({ ...one.offer, load: 0.6 });
  t.equal(one.load, 0.6);
  one.take("t", needs);
  t.ok(Math.abs(one.load - 0.1) < 1e-9);
});

t.test("who has just failed is avoided where there is anybody else", async (t) => {
  const balancer = new Balancer(new SeededRandom("avoid"), 0.1);
  const workers = [worker("a", 0), worker("b", 0.9)];
  for (let turn = 0; turn < 10; turn++) t.equal(balancer.choose(workers, NEEDS, "a")?.peer, "b");
  t.equal(balancer.choose([worker("a", 0)], NEEDS, "a")?.peer, "a");
  t.equal(balancer.choose(workers, { ...NEEDS, memoryBytes: 2 }, undefined), undefined);
});
