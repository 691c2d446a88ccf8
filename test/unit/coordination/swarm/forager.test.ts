import t from "tap";
import { Forager } from "../../../../src/coordination/swarm/forager.ts";
import {
  type ChoiceOptions,
  defaultChoiceOptions,
  defaultPheromoneOptions,
} from "../../../../src/coordination/swarm/options.ts";
import { PheromoneMap } from "../../../../src/coordination/swarm/pheromone-map.ts";
import { TrailGossip } from "../../../../src/coordination/swarm/trail-gossip.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

function forager(name: string, options: Partial<ChoiceOptions> = {}) {
  const map = new PheromoneMap({
    self: name,
    options: defaultPheromoneOptions,
    isMember: () => true,
  });
  const random = new SeededRandom(name);
  const ant = new Forager({ map, random, options: { ...defaultChoiceOptions, ...options } });
  return { map, ant };
}

const PATHS = [
  { trail: "long", heuristic: 1 },
  { trail: "short", heuristic: 1 },
];

t.test(
  "choices are in proportion to pheromone^alpha × heuristic^beta, but for those that explore",
  async (t) => {
    const { map, ant } = forager("a", { alpha: 1, beta: 2, exploration: 0.2 });
    map.deposit("x", 9.99, 0);
    map.deposit("y", 19.99, 0);
    const options = [
      { trail: "x", heuristic: 2 },
      { trail: "y", heuristic: 1 },
    ];
    t.same(ant.perceive(options, 0), [9.99, 19.99]);
    const runs = 20_000;
    let first = 0;
    let explored = 0;
    for (let run = 0; run < runs; run++) {
      const choice = ant.choose(options, 0);
      if (choice?.index === 0) first++;
      if (choice?.explored === true) explored++;
    }
    t.ok(Math.abs(explored / runs - 0.2) < 0.02, `${explored} explored`);
    // 10 × 2² against 20 × 1², two to one.
    t.ok(Math.abs(first / runs - (0.2 / 2 + (0.8 * 2) / 3)) < 0.02, `${first} of the first`);
    t.equal(ant.choose([], 0), undefined);
    t.throws(() => ant.choose([{ trail: "x", heuristic: 0 }], 0), RangeError);
  },
);

t.test(
  "agents that gossip find the shorter of two ways together (Deneubourg's two bridges)",
  async (t) => {
    const colony = ["a", "b", "c", "d", "e", "f"].map((name) => ({ name, ...forager(name) }));
    const gossips = colony.map(({ map }) => new TrailGossip(map));
    for (const gossip of gossips) for (const { name } of colony) gossip.linkUp(name);
    let short = 0;
    for (let tick = 0; tick < 300; tick++) {
      for (const { ant } of colony) {
        const index = ant.choose(PATHS, tick)?.index ?? 0;
        if (tick >= 200) short += index;
        ant.reinforce([PATHS[index]!.trail], index === 1 ? 2 : 1, tick);
      }
      for (const [from, gossip] of gossips.entries()) {
        const to = (from + 1 + (tick % 5)) % 6;
        const news = gossip.newsFor(colony[to]!.name);
        if (news === undefined) continue;
        gossips[to]!.take(news.deposits, tick);
        gossip.acknowledged(colony[to]!.name, news.through);
      }
    }
    // One in ten goes the long way to see whether it still is long.
    t.ok(short > 480, `${short} of 600`);
  },
);
