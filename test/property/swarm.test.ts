import * as fc from "fast-check";
import t from "tap";
import type { Deposit } from "../../src/coordination/swarm/deposit.ts";
import { Distances } from "../../src/coordination/swarm/distances.ts";
import { defaultPheromoneOptions } from "../../src/coordination/swarm/options.ts";
import { PheromoneMap } from "../../src/coordination/swarm/pheromone-map.ts";
import { TourSearch } from "../../src/coordination/swarm/tour-search.ts";
import { TrailGossip } from "../../src/coordination/swarm/trail-gossip.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 200) });

const AGENTS = ["a", "b", "c", "d"];
const isMember = (peer: string): boolean => AGENTS.includes(peer);
const mapOf = (self: string, bounds: { trailsMax?: number; originsPerTrailMax?: number } = {}) =>
  new PheromoneMap({ self, options: { ...defaultPheromoneOptions, ...bounds }, isMember });

const deposit: fc.Arbitrary<Deposit> = fc.record({
  trail: fc.constantFrom("x", "y", "z"),
  origin: fc.constantFrom(...AGENTS),
  tick: fc.nat({ max: 40 }),
  amount: fc.double({ min: 0.001, max: 900, noNaN: true }),
});
const levels = (map: PheromoneMap): number[] =>
  ["x", "y", "z"].map((trail) => map.level(trail, 45));
const areClose = (one: readonly number[], other: readonly number[]): boolean =>
  one.every((level, at) => Math.abs(level - other[at]!) <= 1e-9 * Math.max(1, level));

t.test("merging is a join: order, repetition and grouping do not matter", async () => {
  fc.assert(
    fc.property(
      fc
        .array(deposit, { maxLength: 30 })
        .chain((deposits) =>
          fc.tuple(
            fc.constant(deposits),
            fc.shuffledSubarray([...deposits, ...deposits], { minLength: 2 * deposits.length }),
          ),
        ),
      ([deposits, shuffled]) => {
        const one = mapOf("a");
        const other = mapOf("b");
        for (const each of deposits) one.merge(each, 40);
        for (const each of shuffled) other.merge(each, 40);
        const again = one.version;
        for (const each of one.changesSince(0, 1_000).deposits) one.merge(each, 40);
        return areClose(levels(one), levels(other)) && one.version === again;
      },
    ),
  );
});

t.test(
  "agents that gossip come to smell the same, whatever is lost or comes twice, and count nothing twice",
  async () => {
    const act = fc.record({
      who: fc.nat({ max: 3 }),
      to: fc.nat({ max: 3 }),
      kind: fc.constantFrom("deposit", "gossip", "gossip", "lose", "unacknowledged", "tick"),
      trail: fc.constantFrom("x", "y", "z"),
      amount: fc.double({ min: 0.1, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const maps = AGENTS.map((name) => mapOf(name));
        const gossips = maps.map((map) => new TrailGossip(map));
        for (const gossip of gossips) for (const name of AGENTS) gossip.linkUp(name);
        const expected = new Map<string, number>();
        let tick = 0;
        const send = (who: number, to: number, heard: boolean, acknowledged: boolean): boolean => {
          const news = gossips[who]!.newsFor(AGENTS[to]!);
          if (news === undefined) return false;
          if (heard) gossips[to]!.take(structuredClone(news.deposits), tick);
          if (heard && acknowledged) gossips[who]!.acknowledged(AGENTS[to]!, news.through);
          return true;
        };
        for (const { who, to, kind, trail, amount } of acts) {
          if (kind === "deposit") {
            maps[who]!.deposit(trail, amount, tick);
            const own = `${trail} ${who}`;
            expected.set(own, Math.min((expected.get(own) ?? 0) + amount, 1_000));
          } else if (kind === "tick") {
            tick++;
            for (const [own, left] of expected) expected.set(own, left * 0.9);
          } else if (who !== to) send(who, to, kind !== "lose", kind !== "unacknowledged");
        }
        let rounds = 0;
        for (let isNews = true; isNews; rounds++) {
          isNews = false;
          for (let who = 0; who < 4; who++)
            for (let to = 0; to < 4; to++)
              if (who !== to && send(who, to, true, true)) isNews = true;
          if (rounds > 20) throw new Error("they never have told each other all");
        }
        const sums = ["x", "y", "z"].map((trail) =>
          [0, 1, 2, 3].reduce((sum, who) => sum + (expected.get(`${trail} ${who}`) ?? 0), 0),
        );
        return maps.every((map) =>
          areClose(
            sums,
            ["x", "y", "z"].map((trail) => map.level(trail, tick)),
          ),
        );
      }),
    );
  },
);

t.test("whatever comes in: no throw, and no more kept than there is room for", async () => {
  const odd = fc.oneof(
    fc.anything(),
    deposit,
    fc.record({
      trail: fc.string(),
      origin: fc.constantFrom("a", "stranger"),
      tick: fc.oneof(fc.integer(), fc.double()),
      amount: fc.double(),
    }),
  );
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 100 }), (values) => {
      const map = mapOf("a", { trailsMax: 2, originsPerTrailMax: 2 });
      for (const [at, value] of values.entries()) {
        map.merge(value, at);
        if (map.trailCount > 2 || map.depositCount > 4) return false;
        for (const { level } of map.strongest(10, at)) if (!(level > 0)) return false;
      }
      const counters = map.counters();
      const outcomes = Object.values(counters).reduce((sum, count) => sum + count, 0);
      return outcomes - counters.evicted === values.length;
    }),
  );
});

t.test("the search never makes a tour longer, and it stays a tour", async () => {
  const point = fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }));
  fc.assert(
    fc.property(
      fc
        .array(point, { minLength: 3, maxLength: 30 })
        .chain((points) =>
          fc.tuple(
            fc.constant(points),
            fc.shuffledSubarray([...points.keys()], { minLength: points.length }),
          ),
        ),
      fc.integer({ min: 1, max: 12 }),
      ([points, start], wanted) => {
        const distances = Distances.roundedEuclidean(points);
        const count = Math.min(wanted, points.length - 1);
        const search = new TourSearch(distances, distances.nearest(count), count);
        const tour = Int32Array.from(start);
        search.improve(tour);
        if (new Set(tour).size !== points.length) return false;
        const length = distances.lengthOf(tour);
        search.improve(tour);
        return length <= distances.lengthOf(start) && distances.lengthOf(tour) <= length;
      },
    ),
  );
});
