import t from "tap";
import { readMessage } from "../../../../src/coordination/contract-net/read-message.ts";
import { Reputation } from "../../../../src/coordination/contract-net/reputation.ts";
import { defaultBidWeights, ranked } from "../../../../src/coordination/contract-net/score.ts";
import { TASK } from "../../../support/coordination/contract-world.ts";

t.test("reputation rises and falls, comes back to neutral, and has room for so many", async (t) => {
  const reputation = new Reputation({ halfLifeMs: 1_000, agentsMax: 2 });
  t.equal(reputation.of("a", 0), 0.5);
  reputation.record("a", "success", 0);
  t.equal(reputation.of("a", 0), 2 / 3);
  t.equal(reputation.of("a", 1_000), 1.5 / 2.5, "half of it after the half-life");
  t.ok(Math.abs(reputation.of("a", 60_000) - 0.5) < 1e-9);
  reputation.record("b", "failure", 0);
  t.equal(reputation.of("b", 0), 1 / 3);
  reputation.record("c", "silence", 0);
  t.equal(reputation.of("c", 0), 1 / 4, "worse than a failure that was told");
  t.equal(reputation.of("a", 0), 0.5, "forgotten: two others were dealt with since");
  reputation.record("b", "late", 0);
  t.equal(reputation.of("b", 0), 1.5 / 4);
  t.equal(reputation.size, 2);
});

t.test("bids are ranked by cost, promised end and reputation, whatever their order", async (t) => {
  const bids = [
    { peer: "dear", cost: 10, endsInMs: 100, reputation: 0.5 },
    { peer: "slow", cost: 1, endsInMs: 1_000, reputation: 0.5 },
    { peer: "good", cost: 1, endsInMs: 100, reputation: 0.9 },
    { peer: "even", cost: 1, endsInMs: 100, reputation: 0.5 },
    { peer: "also", cost: 1, endsInMs: 100, reputation: 0.5 },
  ];
  const order = ranked(bids, defaultBidWeights).map(({ peer }) => peer);
  t.same(order, ["good", "also", "even", "slow", "dear"]);
  t.same(
    ranked([...bids].reverse(), defaultBidWeights).map(({ peer }) => peer),
    order,
  );
  t.same(ranked([], defaultBidWeights), []);
});

t.test("messages are read strictly, and what they have too much is dropped", async (t) => {
  const announce = {
    kind: "announce",
    call: "1-1",
    task: TASK,
    route: { root: "a/1-1", path: ["a"], hopsLeft: 1 },
    bidWithinMs: 1,
    holdMs: 1,
    expiresInMs: 1,
  };
  t.same(readMessage({ ...announce, extra: 1 }), announce);
  t.same(readMessage({ kind: "award", call: "1-1", extra: 1 }), { kind: "award", call: "1-1" });
  for (const bad of [
    undefined,
    null,
    "award",
    { kind: "award" },
    { kind: "award", call: "" },
    { kind: "steal", call: "1-1" },
    { kind: "bid", call: "1-1", cost: -1, endsInMs: 0 },
    { kind: "bid", call: "1-1", cost: Number.NaN, endsInMs: 0 },
    { kind: "bid", call: "1-1", cost: 1, endsInMs: 1e12 },
    { kind: "progress", call: "1-1", percent: 101 },
    { kind: "result", call: "1-1", output: "x".repeat(70_000) },
    { kind: "refuse", call: "1-1", reason: "because" },
    { kind: "failure", call: "1-1", reason: 7 },
    { ...announce, task: { ...TASK, demand: 0 } },
    { ...announce, task: { ...TASK, needs: Array.from({ length: 17 }, () => "x") } },
    { ...announce, route: { ...announce.route, path: [] } },
    { ...announce, route: { ...announce.route, root: "b/1-1" } },
    { ...announce, route: { ...announce.route, hopsLeft: 99 } },
    { ...announce, expiresInMs: 1e12 },
  ])
    t.equal(readMessage(bad), undefined, JSON.stringify(bad)?.slice(0, 80) ?? "undefined");
});
