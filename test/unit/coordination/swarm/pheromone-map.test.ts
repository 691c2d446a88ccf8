import t from "tap";
import { Evaporation } from "../../../../src/coordination/swarm/evaporation.ts";
import { defaultPheromoneOptions } from "../../../../src/coordination/swarm/options.ts";
import { PheromoneMap } from "../../../../src/coordination/swarm/pheromone-map.ts";
import {
  DEPOSITS_PER_MESSAGE_MAX,
  TrailGossip,
} from "../../../../src/coordination/swarm/trail-gossip.ts";

const mapOf = (self: string, options: Partial<typeof defaultPheromoneOptions> = {}): PheromoneMap =>
  new PheromoneMap({
    self,
    options: { ...defaultPheromoneOptions, ...options },
    isMember: (peer) => peer !== "stranger",
  });
const isClose = (one: number, other: number): boolean => Math.abs(one - other) < 1e-9 * other;

t.test("a trail that is laid every tick is held at deposit over decay", async (t) => {
  const map = mapOf("a");
  let tick = 0;
  for (; tick < 400; tick++) map.deposit("x", 3, tick);
  t.ok(isClose(map.level("x", tick - 1), 3 / 0.1), `${map.level("x", tick - 1)}`);
});

t.test("half of it is gone after ln 0.5 / ln 0.9 = 6.58 ticks", async (t) => {
  const { halfLifeTicks } = new Evaporation(0.1);
  t.equal(halfLifeTicks.toFixed(2), "6.58");
  const map = mapOf("a");
  map.deposit("x", 8, 100);
  t.ok(isClose(map.level("x", 100 + halfLifeTicks), 4));
  t.ok(isClose(map.level("x", 110), 8 * 0.9 ** 10));
  t.equal(map.level("y", 100), 0);
  t.throws(() => new Evaporation(0), RangeError);
  t.throws(() => new Evaporation(1), RangeError);
});

t.test("deposits of several agents add up, each counted once", async (t) => {
  const map = mapOf("a");
  map.deposit("x", 1, 5);
  const deposit = { trail: "x", origin: "b", tick: 5, amount: 2 };
  t.equal(map.merge(deposit, 5), "news");
  t.equal(map.merge(deposit, 5), "known");
  t.equal(map.level("x", 5), 3);
  t.equal(map.merge({ ...deposit, tick: 6, amount: 4 }, 6), "news");
  t.ok(isClose(map.level("x", 6), 0.9 + 4), "the newest of an agent in the place of all before");
  t.equal(map.merge({ ...deposit, tick: 4, amount: 50 }, 6), "known");
});

t.test("what is wrong with a deposit is said by name, and counted", async (t) => {
  const map = mapOf("a");
  const deposit = { trail: "x", origin: "b", tick: 100, amount: 2 };
  t.equal(map.merge({ ...deposit, amount: -1 }, 100), "malformed-deposit");
  t.equal(map.merge({ ...deposit, tick: 0.5 }, 100), "malformed-deposit");
  t.equal(map.merge({ ...deposit, trail: "x".repeat(200) }, 100), "malformed-deposit");
  t.equal(map.merge("x", 100), "malformed-deposit");
  t.equal(map.merge({ ...deposit, origin: "stranger" }, 100), "not-a-member");
  t.equal(map.merge({ ...deposit, tick: 111 }, 100), "from-the-future");
  t.equal(map.merge({ ...deposit, amount: 1_001 }, 100), "too-strong");
  t.equal(map.merge({ ...deposit, tick: 0 }, 100), "faint");
  t.equal(map.trailCount, 0);
  t.match(map.counters(), { "malformed-deposit": 4, "too-strong": 1, faint: 1, news: 0 });
  t.throws(() => map.deposit("", 1, 0), RangeError);
  t.throws(() => map.deposit("x", 0, 0), RangeError);
});

t.test(
  "when there is no room the weakest gives way, trail by trail and agent by agent",
  async (t) => {
    const map = mapOf("a", { trailsMax: 2, originsPerTrailMax: 2 });
    map.deposit("weak", 1, 0);
    map.deposit("strong", 50, 0);
    t.equal(map.deposit("weaker", 0.5, 0), false);
    t.equal(map.deposit("new", 0.9, 2), true, "in the meantime, weak has become weaker than that");
    t.same(
      map.strongest(9, 2).map(({ trail }) => trail),
      ["strong", "new"],
    );
    t.equal(map.counters().evicted, 1);
    const from = (origin: string, amount: number) => ({ trail: "new", origin, tick: 2, amount });
    t.equal(map.merge(from("b", 2), 2), "news");
    t.equal(map.merge(from("c", 0.5), 2), "no-room");
    t.equal(map.merge(from("c", 3), 2), "news");
    t.equal(map.level("new", 2), 5, "what was this agent's own, and least, gave way");
    t.equal(map.depositCount, 3);
  },
);

t.test("what has faded away is swept out", async (t) => {
  const map = mapOf("a");
  map.deposit("x", 1, 0);
  map.deposit("y", 100, 0);
  t.equal(map.sweep(50), 0);
  t.equal(map.sweep(100), 1);
  t.equal(map.trailCount, 1);
  t.equal(map.changesSince(0, 10).deposits.length, 1);
});

t.test("an agent that starts anew takes up its own trail where it was", async (t) => {
  const before = mapOf("a");
  before.deposit("x", 10, 5);
  const after = mapOf("a");
  after.deposit("x", 1, 3);
  const news = before.changesSince(0, 10).deposits;
  t.equal(after.merge(news[0], 5), "news");
  after.deposit("x", 1, 4);
  t.equal(after.level("x", 5), 11);
});

t.test("neighbours are told what they have not acknowledged, page by page", async (t) => {
  const map = mapOf("a");
  const gossip = new TrailGossip(map);
  for (let at = 0; at < 300; at++) map.deposit(`trail-${at}`, 1, 0);
  t.equal(gossip.newsFor("b"), undefined, "no link");
  gossip.linkUp("b");
  const first = gossip.newsFor("b");
  t.equal(first?.deposits.length, DEPOSITS_PER_MESSAGE_MAX);
  t.same(gossip.newsFor("b"), first, "it may have been lost");
  gossip.acknowledged("b", first?.through ?? 0);
  gossip.acknowledged("b", 9_999);
  const second = gossip.newsFor("b");
  t.equal(second?.deposits.length, 300 - DEPOSITS_PER_MESSAGE_MAX);
  gossip.acknowledged("b", second?.through ?? 0);
  t.equal(gossip.newsFor("b"), undefined);
  map.deposit("trail-7", 1, 1);
  t.same(
    gossip.newsFor("b")?.deposits.map(({ trail }) => trail),
    ["trail-7"],
  );
  const taker = new TrailGossip(mapOf("b"));
  t.same(taker.take(first?.deposits ?? [], 0), { newCount: 256, fault: undefined });
  t.same(taker.take([{}, ...(second?.deposits ?? [])], 0), {
    newCount: 44,
    fault: "malformed-deposit",
  });
  const tooMany = Array.from({ length: DEPOSITS_PER_MESSAGE_MAX + 1 }, () => ({}));
  t.same(taker.take(tooMany, 0), { newCount: 0, fault: "too-many-deposits" });
  gossip.linkDown("b");
  t.equal(gossip.newsFor("b"), undefined);
});
