import t from "tap";
import { Initiator } from "../../../../src/coordination/contract-net/initiator.ts";
import type { ParticipantMessage } from "../../../../src/coordination/contract-net/messages.ts";
import { defaultInitiatorOptions } from "../../../../src/coordination/contract-net/options.ts";
import {
  defaultReputationOptions,
  Reputation,
} from "../../../../src/coordination/contract-net/reputation.ts";
import { defaultBidWeights } from "../../../../src/coordination/contract-net/score.ts";
import type { Terms } from "../../../../src/coordination/contract-net/task.ts";
import { ContractWorld, TASK, TERMS } from "../../../support/coordination/contract-world.ts";

/** An initiator, and participants whose every word the test says. */
function bench(terms: Partial<Terms>, candidates: readonly string[]) {
  const reputation = new Reputation(defaultReputationOptions);
  const initiator = new Initiator({
    self: "self",
    epoch: 1,
    options: defaultInitiatorOptions,
    weights: defaultBidWeights,
    reputation,
  });
  const step = (nowMs: number, input: Parameters<Initiator["step"]>[0]) => {
    const { send, changes, nextTickAtMs } = initiator.step({ ...input, nowMs });
    return {
      send: send.map(({ to, message }) => `${message.kind} ${to}`).sort(),
      changes: changes.map((change) =>
        change.kind === "ended"
          ? `ended ${change.outcome.fault ?? "well"}, done by ${change.outcome.results.map(({ peer }) => peer).join(" ") || "nobody"}`
          : `${change.kind} ${"peer" in change ? change.peer : ""}`,
      ),
      nextTickAtMs,
    };
  };
  const begun = step(0, {
    kind: "call",
    task: TASK,
    terms: { ...TERMS, ...terms },
    candidates,
    nowMs: 0,
  });
  type Word = ParticipantMessage extends infer M
    ? M extends unknown
      ? Omit<M, "call">
      : never
    : never;
  return {
    begun,
    reputation,
    initiator,
    hear: (nowMs: number, from: string, word: Word) =>
      step(nowMs, { kind: "message", from, message: { call: "1-1", ...word }, nowMs }),
    tick: (nowMs: number) => step(nowMs, { kind: "tick", nowMs }),
    gone: (nowMs: number, peer: string) => step(nowMs, { kind: "gone", peer, nowMs }),
    cancel: (nowMs: number) => step(nowMs, { kind: "cancel", call: "1-1", nowMs }),
  };
}

const bid = (cost: number) => ({ kind: "bid" as const, cost, endsInMs: 1_000 });

t.test("a call goes the way of FIPA's protocol", async (t) => {
  const call = bench({ agentsMin: 1, agentsMax: 1 }, ["a", "b", "c"]);
  t.same(call.begun.send, ["announce a", "announce b", "announce c"]);
  t.same(call.hear(10, "a", bid(5)).send, []);
  t.same(call.hear(20, "b", bid(3)).send, []);
  const awarded = call.hear(30, "c", { kind: "refuse", reason: "unwilling" });
  t.same(awarded.send, ["award b"], "all have answered: nobody is waited for");
  t.same(awarded.changes, ["refused c", "awarded b"]);
  t.same(call.hear(40, "b", { kind: "accept" }).changes, ["accepted b"]);
  t.same(call.hear(50, "b", { kind: "progress", percent: 50 }).changes, ["progress b"]);
  t.same(call.hear(60, "b", { kind: "progress", percent: 50 }).changes, [], "a sign of life only");
  const done = call.hear(70, "b", { kind: "result", output: "42" });
  t.same(done.send, ["reject a", "settle b"]);
  t.same(done.changes, ["result b", "ended well, done by b"]);
  t.equal(done.nextTickAtMs, Number.POSITIVE_INFINITY);
  t.ok(call.reputation.of("b", 70) > 0.5);
});

t.test("who does not answer is asked again, until bidding is over", async (t) => {
  const call = bench({ agentsMin: 1, agentsMax: 1 }, ["a", "b"]);
  call.hear(10, "a", bid(1));
  const again = call.tick(1_000);
  t.same(again.send, ["announce b"]);
  t.same(call.tick(2_000).send, ["award a"]);
  t.same(call.hear(2_100, "b", bid(0)).send, ["reject b"], "too late, however good");
});

t.test("between its minimum and its maximum of agents, the best ones", async (t) => {
  const peers = ["a", "b", "c", "d"];
  const call = bench({ agentsMin: 2, agentsMax: 3 }, peers);
  for (const [at, peer] of peers.entries()) call.hear(at, peer, bid(4 - at));
  for (const peer of ["d", "c", "b"]) call.hear(10, peer, { kind: "accept" });
  call.hear(20, "d", { kind: "result", output: "" });
  call.hear(20, "c", { kind: "result", output: "" });
  const end = call.hear(30, "b", { kind: "result", output: "" });
  t.same(end.changes, ["result b", "ended well, done by d c b"]);
});

t.test("fewer bids than its minimum: nobody is awarded, and it says why", async (t) => {
  const call = bench({ agentsMin: 2, agentsMax: 3 }, ["a", "b"]);
  call.hear(10, "a", bid(1));
  const end = call.hear(20, "b", { kind: "refuse", reason: "not-able" });
  t.same(end.changes, ["refused b", "ended too-few-bids, done by nobody"]);
  t.same(end.send, ["reject a"]);
  t.same(bench({}, []).begun.changes, ["ended no-candidates, done by nobody"]);
});

t.test("the next best bid takes the place of a contractor that fails", async (t) => {
  const call = bench({}, ["a", "b"]);
  call.hear(10, "a", bid(1));
  call.hear(10, "b", bid(2));
  call.hear(20, "a", { kind: "accept" });
  const failed = call.hear(30, "a", { kind: "failure", reason: "failed" });
  t.same(failed.changes, ["lost a", "awarded b"]);
  t.same(failed.send, ["award b", "settle a"]);
  t.same(call.hear(40, "b", { kind: "failure", reason: "withdrawn" }).changes, [
    "lost b",
    "ended too-few-contractors, done by nobody",
  ]);
});

t.test(
  "a contractor that falls silent is given up, and its late result does not count",
  async (t) => {
    const call = bench({}, ["a", "b"]);
    call.hear(10, "a", bid(1));
    call.hear(10, "b", bid(2));
    t.same(call.tick(1_010).send, ["award a"], "the award may have been lost");
    const { acceptWithinMs, silenceMs } = defaultInitiatorOptions;
    const silent = call.tick(10 + acceptWithinMs);
    t.same(silent.changes, ["lost a", "awarded b"]);
    t.same(silent.send, ["award b", "cancel a"]);
    t.same(call.hear(6_000, "a", { kind: "accept" }).send, ["cancel a"]);
    const late = call.hear(6_010, "a", { kind: "result", output: "late" });
    t.same(late.send, ["settle a"]);
    t.same(late.changes, [], "its work would be done twice");
    call.hear(6_020, "b", { kind: "accept" });
    t.same(call.tick(6_020 + silenceMs).changes, [
      "lost b",
      "ended too-few-contractors, done by nobody",
    ]);
    t.ok(call.reputation.of("a", 7_000) < 0.5);
  },
);

t.test("a result that comes twice counts once, though others are at work still", async (t) => {
  const call = bench({ agentsMin: 2, agentsMax: 2 }, ["a", "b"]);
  call.hear(10, "a", bid(1));
  call.hear(10, "b", bid(2));
  call.hear(20, "a", { kind: "result", output: "x" });
  const again = call.hear(30, "a", { kind: "result", output: "x" });
  t.same(again.send, ["settle a"], "it did not hear that it is settled");
  t.same(again.changes, []);
  t.same(call.hear(40, "b", { kind: "result", output: "y" }).changes, [
    "result b",
    "ended well, done by a b",
  ]);
});

t.test("time is up: what is enough is enough, else it has expired", async (t) => {
  const terms = { agentsMin: 1, agentsMax: 2, expiresInMs: 20_000 };
  const enough = bench(terms, ["a", "b"]);
  enough.hear(10, "a", bid(1));
  enough.hear(10, "b", bid(2));
  enough.hear(20, "a", { kind: "result", output: "x" });
  enough.hear(20, "b", { kind: "accept" });
  const end = enough.tick(20_000);
  t.same(end.changes, ["ended well, done by a"]);
  t.same(end.send, ["cancel b"]);
  const none = bench(terms, ["a"]);
  none.hear(10, "a", bid(1));
  none.hear(20, "a", { kind: "accept" });
  t.same(none.tick(20_000).changes, ["ended expired, done by nobody"]);
  const promise = bench(terms, ["a"]);
  const tooLong = promise.hear(10, "a", { kind: "bid", cost: 1, endsInMs: 30_000 });
  t.same(tooLong.changes, ["ended too-few-bids, done by nobody"], "no promise beyond the end");
});

t.test("a call is cancelled; agents that left are not waited for", async (t) => {
  const cancelled = bench({}, ["a", "b"]);
  cancelled.hear(10, "a", bid(1));
  cancelled.hear(10, "b", bid(2));
  const end = cancelled.cancel(20);
  t.same(end.send, ["cancel a", "reject b"]);
  t.same(end.changes, ["ended cancelled, done by nobody"]);
  t.same(cancelled.hear(30, "a", { kind: "progress", percent: 10 }).send, ["cancel a"]);
  t.same(cancelled.hear(30, "a", { kind: "result", output: "" }).send, ["settle a"]);
  t.equal(cancelled.initiator.counters().stray, 2);
  const left = bench({}, ["a", "b"]);
  left.hear(10, "a", bid(1));
  t.same(left.gone(20, "b").changes, ["awarded a"]);
  t.same(left.gone(30, "a").changes, ["lost a", "ended too-few-contractors, done by nobody"]);
});

t.test("words of somebody that was not asked change nothing", async (t) => {
  const call = bench({}, ["a"]);
  t.same(call.hear(10, "x", bid(0)), { send: ["reject x"], changes: [], nextTickAtMs: 1_000 });
  t.same(call.hear(10, "x", { kind: "result", output: "" }).changes, []);
  t.equal(call.initiator.counters().stray, 2);
});

t.test("so many calls at once and no more; what can not be is refused at once", async (t) => {
  const initiator = new Initiator({
    self: "self",
    epoch: 7,
    options: { ...defaultInitiatorOptions, callsMax: 1, candidatesMax: 2 },
    weights: defaultBidWeights,
    reputation: new Reputation(defaultReputationOptions),
  });
  const candidates = ["a", "b", "c", "a"];
  const call = { kind: "call", task: TASK, terms: TERMS, candidates, nowMs: 0 } as const;
  const first = initiator.step(call);
  t.equal(first.called, "7-1");
  t.equal(first.send.length, 2, "candidates are bounded, and each is asked once");
  t.equal(initiator.step(call).called, undefined);
  t.equal(initiator.counters().refused, 1);
  const bad = { ...TERMS, agentsMin: 3, agentsMax: 2 };
  t.throws(() => initiator.step({ ...call, terms: bad }), RangeError);
  t.throws(() => initiator.step({ ...call, task: { ...TASK, demand: 0 } }), RangeError);
});

t.test("an unsatisfiable task ends with its reason, and keeps no other waiting", async (t) => {
  const world = new ContractWorld({ seed: "unsatisfiable", delegation: { delegatedMax: 0 } }, [
    { name: "a" },
    { name: "b" },
    { name: "c" },
  ]);
  const impossible = world.submit("a", { needs: ["wings"] });
  const possible = world.submit("a", {}, { agentsMin: 2, agentsMax: 2 });
  world.run(10_000);
  t.equal(world.outcome(impossible)?.fault, "too-few-bids");
  t.equal(world.outcome(possible)?.results.length, 2);
});
