// What votes amount to. The first facts are those that the public specification asserts of its functions.
import t from "tap";
import { ValidatorSet } from "../../../../src/consensus/tendermint/validators.ts";
import type { Vote, VoteKind } from "../../../../src/consensus/tendermint/vote.ts";
import { VoteCount } from "../../../../src/consensus/tendermint/vote-count.ts";
import { VoteKeeper } from "../../../../src/consensus/tendermint/vote-keeper.ts";

const ROUNDS_AHEAD_MAX = 3;

function set(powers: Record<string, number>): ValidatorSet {
  return new ValidatorSet(Object.entries(powers).map(([id, power]) => ({ id, power })));
}

function vote(kind: VoteKind, validator: string, round: number, valueId: string | null): Vote {
  return { kind, height: 0, round, valueId, validator };
}

const four = set({ v1: 1, v2: 1, v3: 1, v4: 1 });

t.test("quorums are more than 2/3, and honest ones are among more than 1/3", async (t) => {
  const six = set({ a: 6 });
  t.notOk(six.isQuorum(2));
  t.notOk(six.isQuorum(4));
  t.ok(six.isQuorum(5));
  t.notOk(six.hasHonest(2));
  t.ok(six.hasHonest(3));
});

t.test("a vote counts once for its maker", async (t) => {
  const count = new VoteCount<Vote>();
  count.add(vote("precommit", "alice", 1, "val1"), 30);
  count.add(vote("precommit", "bob", 1, "val2"), 20);
  t.equal(count.add(vote("precommit", "john", 1, "val3"), 10), "counted");
  t.equal(count.weightOf("val3"), 10);
  t.equal(count.weight, 60);
  t.equal(count.add(vote("precommit", "john", 1, "val3"), 10), "known");
  t.equal(count.add(vote("precommit", "john", 1, "val2"), 10), "conflicting");
  t.equal(count.add(vote("precommit", "john", 1, "val1"), 10), "surplus");
  t.same([count.weightOf("val3"), count.weightOf("val2"), count.weight], [10, 20, 60]);
  t.equal([...count.votes()].length, 4, "the contradiction is kept, a third word is not");
  count.remove("john", 10);
  t.same([count.weightOf("val3"), count.weight], [0, 50]);
});

t.test(
  "thresholds are told once each, and a faulty vote makes no second round of them",
  async (t) => {
    const keeper = new VoteKeeper<Vote>(
      set({ a0: 1, a1: 1, a2: 1, a3: 1, a4: 3 }),
      ROUNDS_AHEAD_MAX,
    );
    const add = (validator: string, round: number, valueId: string | null) =>
      keeper.add(vote("precommit", validator, round, valueId), 0);
    t.equal(add("a0", 0, null).tally, undefined);
    t.equal(add("a1", 0, null).tally, undefined);
    t.equal(add("a2", 0, null).tally, undefined);
    t.equal(add("a3", 0, null).tally, undefined, "4 of 7 is not more than 2/3");
    t.same(add("a4", 1, null).tally, { kind: "skip", round: 1 }, "3 of 7 is more than 1/3");
    const faulty = add("a4", 1, "faulty");
    t.equal(faulty.outcome, "conflicting");
    t.equal(faulty.contradicts?.valueId, null);
  },
);

t.test("each kind of threshold", async (t) => {
  const tallyOf = (kind: VoteKind, values: (string | null)[]) => {
    const keeper = new VoteKeeper<Vote>(four, ROUNDS_AHEAD_MAX);
    let last: unknown;
    for (const [at, valueId] of values.entries())
      last = keeper.add(vote(kind, `v${at + 1}`, 10, valueId), 10).tally;
    return last;
  };
  t.equal(tallyOf("prevote", ["v", "v"]), undefined);
  t.same(tallyOf("prevote", ["v", "v", "v"]), { kind: "polka-value", round: 10, valueId: "v" });
  t.same(tallyOf("prevote", [null, null, null]), { kind: "polka-nil", round: 10 });
  t.same(tallyOf("prevote", ["v", null, "w"]), { kind: "polka-any", round: 10 });
  t.same(tallyOf("precommit", ["v", "v", "v"]), {
    kind: "precommit-value",
    round: 10,
    valueId: "v",
  });
  t.same(tallyOf("precommit", [null, null, null]), { kind: "precommit-any", round: 10 });
  t.same(tallyOf("precommit", ["v", null, "w"]), { kind: "precommit-any", round: 10 });
});

t.test("votes are a certificate only together, and only for a value", async (t) => {
  const keeper = new VoteKeeper<Vote>(four, ROUNDS_AHEAD_MAX);
  const cert = (names: string[], values: (string | null)[]) =>
    names.map((name, at) => vote("prevote", name, 0, values[at] ?? null));
  const refused = [
    cert(["v2", "v3", "v4"], ["blue", "red", "red"]),
    cert(["v2", "v3", "v5"], ["red", "red", "red"]),
    cert(["v3", "v4"], ["red", "red"]),
    cert(["v3", "v4", "v4"], ["red", "red", "red"]),
    cert(["v2", "v3", "v4"], [null, null, null]),
    [],
  ];
  for (const votes of refused) t.equal(keeper.addCertificate(votes), undefined);
  t.equal(keeper.rounds().size, 0, "nothing of them was taken");
  t.ok(keeper.addCertificate(cert(["v2", "v3", "v4"], ["red", "red", "red"])));
});

t.test("a certificate counts votes whose makers said something else here", async (t) => {
  const keeper = new VoteKeeper<Vote>(four, ROUNDS_AHEAD_MAX);
  keeper.add(vote("prevote", "v2", 0, null), 0);
  keeper.add(vote("prevote", "v3", 0, "blue"), 0);
  const votes = ["v2", "v3", "v4"].map((name) => vote("prevote", name, 0, "blue"));
  const taken = keeper.addCertificate(votes);
  t.same(taken?.tally, { kind: "polka-value", round: 0, valueId: "blue" });
  t.same(
    taken?.contradictions.map(([one, other]) => [one.valueId, other.valueId]),
    [[null, "blue"]],
  );
  t.equal(keeper.count(0, "prevote")?.weightOf("blue"), 3);
  t.equal(keeper.count(0, "prevote")?.weight, 3, "nobody votes twice");
  t.same(keeper.certificate(0, "prevote", "blue"), [votes[0], votes[1], votes[2]]);
});

t.test("of a validator that runs ahead, its latest rounds are kept", async (t) => {
  const keeper = new VoteKeeper<Vote>(four, ROUNDS_AHEAD_MAX);
  for (let round = 1; round <= 50; round++) keeper.add(vote("prevote", "v1", round, null), 0);
  t.same([...keeper.rounds().keys()], [48, 49, 50]);
  t.equal(keeper.add(vote("prevote", "v1", 20, null), 0).outcome, "surplus");
  const { tally } = keeper.add(vote("prevote", "v2", 50, null), 0);
  t.same(tally, { kind: "skip", round: 50 }, "and it can be followed there");
});

t.test("rounds that are over are forgotten, but for one", async (t) => {
  const keeper = new VoteKeeper<Vote>(four, ROUNDS_AHEAD_MAX);
  for (let round = 0; round < 6; round++) keeper.add(vote("prevote", "v1", round, null), round);
  keeper.forgetBefore(4, 1);
  t.same([...keeper.rounds().keys()], [1, 4, 5]);
});
