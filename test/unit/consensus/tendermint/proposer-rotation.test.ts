// Whose turn it is to propose.
import t from "tap";
import { ProposerRotation } from "../../../../src/consensus/tendermint/proposer-rotation.ts";
import {
  POWER_TOTAL_MAX,
  VALIDATORS_MAX,
} from "../../../../src/consensus/tendermint/validators.ts";

/** The 99 turns that CometBFT's own test of its validator set expects (types/validator_set_test.go). */
const PUBLIC_TURNS = [
  "foo baz foo bar foo foo baz foo bar foo foo baz foo foo bar foo baz foo foo bar",
  "foo foo baz foo bar foo foo baz foo bar foo foo baz foo foo bar foo baz foo foo bar",
  "foo baz foo foo bar foo baz foo foo bar foo baz foo foo foo baz bar foo foo foo baz",
  "foo bar foo foo baz foo bar foo foo baz foo bar foo foo baz foo bar foo foo baz foo",
  "foo bar foo baz foo foo bar foo baz foo foo bar foo baz foo foo",
].join(" ");

function begin(powers: Record<string, number>): ProposerRotation {
  return ProposerRotation.begin(Object.entries(powers).map(([id, power]) => ({ id, power })));
}

function turns(rotation: ProposerRotation, count: number): string[] {
  const proposers: string[] = [];
  let at = rotation;
  for (let turn = 0; turn < count; turn++) {
    proposers.push(at.proposer);
    at = at.advance();
  }
  return proposers;
}

function spreadOf(rotation: ProposerRotation): number {
  const priorities = rotation.snapshot().map(({ priority }) => priority);
  return Math.max(...priorities) - Math.min(...priorities);
}

t.test("turns go by power, as in the public test", async (t) => {
  const rotation = begin({ foo: 1_000, bar: 300, baz: 330 });
  t.equal(turns(rotation, 99).join(" "), PUBLIC_TURNS);
});

t.test("equal powers take turns by name", async (t) => {
  t.same(turns(begin({ c: 100, a: 100, b: 100 }), 6), ["a", "b", "c", "a", "b", "c"]);
});

t.test(
  "one with more power than all others together proposes twice in a row, and just then",
  async (t) => {
    t.same(turns(begin({ a: 100, b: 100, c: 400 }), 2), ["c", "a"]);
    t.same(turns(begin({ a: 100, b: 100, c: 401 }), 3), ["c", "c", "a"]);
  },
);

t.test("each has its share of the turns", async (t) => {
  const counts = new Map<string, number>();
  for (const id of turns(begin({ a: 4, b: 5, c: 3 }), 120))
    counts.set(id, (counts.get(id) ?? 0) + 1);
  t.same([counts.get("a"), counts.get("b"), counts.get("c")], [40, 50, 30]);
});

t.test("several turns at once are as many single ones", async (t) => {
  const rotation = begin({ a: 7, b: 2, c: 5, d: 1 });
  let single = rotation;
  for (let turn = 0; turn < 7; turn++) single = single.advance();
  const atOnce = rotation.advance(7);
  t.equal(atOnce.proposer, single.proposer);
  t.same(atOnce.snapshot(), single.snapshot());
});

t.test("a newcomer waits, and gains nothing by leaving and coming back", async (t) => {
  const rotation = begin({ a: 10, b: 10, c: 10 }).advance(4);
  const joined = rotation.change([{ id: "d", power: 10 }]);
  const others = joined.snapshot().filter(({ id }) => id !== "d");
  t.ok(others.every(({ priority }) => priority > joined.priorityOf("d")));
  const order = turns(joined.advance(), 8);
  t.same(new Set(order.slice(0, order.indexOf("d"))), new Set(["a", "b", "c"]));
  const back = joined.change([{ id: "d", power: 0 }]).change([{ id: "d", power: 10 }]);
  t.equal(back.priorityOf("d"), joined.priorityOf("d"));
});

t.test("a change of the set centres the priorities and keeps them together", async (t) => {
  const rotation = begin({ a: 1_000_000, b: 1, c: 1 }).advance(5);
  const shrunk = rotation.change([{ id: "a", power: 1 }]);
  t.equal(shrunk.validators.totalPower, 3);
  t.ok(spreadOf(shrunk) <= 2 * 3, "within twice the power");
  const sum = shrunk.snapshot().reduce((total, { priority }) => total + priority, 0);
  t.ok(Math.abs(sum) < 3, "around zero");
  t.same(new Set(turns(shrunk.advance(), 6)), new Set(["a", "b", "c"]), "all get their turns");
});

t.test("who stays keeps its priority, and the proposer its turn", async (t) => {
  const rotation = begin({ a: 3, b: 2, c: 4 }).advance(3);
  const changed = rotation.change([{ id: "b", power: 3 }]);
  t.equal(changed.proposer, rotation.proposer);
  const without = rotation.change([{ id: rotation.proposer, power: 0 }]);
  t.not(without.proposer, rotation.proposer);
  t.ok(without.validators.has(without.proposer));
});

t.test("a rotation is written down and read back", async (t) => {
  const rotation = begin({ a: 9, b: 4, c: 7 }).advance(11);
  const back = ProposerRotation.restore(rotation.snapshot(), rotation.proposer);
  t.same(turns(back, 20), turns(rotation, 20));
});

t.test("sets and changes that can not be are refused", async (t) => {
  const rotation = begin({ a: 1, b: 1 });
  t.throws(() => begin({}), /1 to 256 validators/u);
  t.throws(() => begin({ a: 0 }), /positive integer/u);
  t.throws(() => begin({ a: 1.5 }), /positive integer/u);
  t.throws(() => begin({ a: POWER_TOTAL_MAX, b: 1 }), /at most/u);
  t.throws(
    () =>
      ProposerRotation.begin([
        { id: "a", power: 1 },
        { id: "a", power: 1 },
      ]),
    /twice/u,
  );
  const many = Array.from({ length: VALIDATORS_MAX + 1 }, (_, at) => [`v${at}`, 1]);
  t.throws(() => begin(Object.fromEntries(many) as Record<string, number>), /257/u);
  t.throws(() => rotation.advance(0), /one or more/u);
  t.throws(() => rotation.change([{ id: "c", power: 0 }]), /can not leave/u);
  t.throws(
    () =>
      rotation.change([
        { id: "a", power: 2 },
        { id: "a", power: 3 },
      ]),
    /changes twice/u,
  );
  t.throws(
    () =>
      rotation.change([
        { id: "a", power: 0 },
        { id: "b", power: 0 },
      ]),
    /1 to 256/u,
  );
  t.throws(() => ProposerRotation.restore(rotation.snapshot(), "c"), /no validator/u);
});
