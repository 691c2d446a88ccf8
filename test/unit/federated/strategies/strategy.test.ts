import t, { type Test } from "tap";
import * as Type from "typebox";
import { describeFaults } from "../../../../src/device/schema-faults.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { StrategyRegistry } from "../../../../src/federated/strategies/registry.ts";
import { Mean } from "../../../../src/federated/strategies/rules/mean.ts";
import { ServerMomentum } from "../../../../src/federated/strategies/server/averaging.ts";
import type { StrategyState } from "../../../../src/federated/strategies/strategy.ts";
import { Strategy } from "../../../../src/federated/strategies/strategy.ts";
import { decodeState, encodeState } from "../../../../src/federated/strategies/strategy-state.ts";

const math = new PlainVectorMath();
const registry = new StrategyRegistry();
const updates = [
  [0.5, -2, 2e-3],
  [-1, 0.25, 0],
  [3, 1, -2e-3],
];
const given = (values: readonly number[]) => [
  { sender: "one", values: Float32Array.from(values), weight: 1 },
];

/** The paper's algorithm in float64, one coordinate at a time. */
function reference(kind: string, rate: number, beta1: number, beta2: number, tau: number) {
  return [0, 1, 2].map((k) => {
    let [model, m, v] = [1, 0, tau * tau];
    for (const update of updates) {
      const delta = update[k]!;
      m = beta1 * m + (1 - beta1) * delta;
      if (kind === "fedadagrad") v += delta ** 2;
      if (kind === "fedadam") v = beta2 * v + (1 - beta2) * delta ** 2;
      if (kind === "fedyogi") v -= (1 - beta2) * delta ** 2 * Math.sign(v - delta ** 2);
      model += (rate * m) / (Math.sqrt(v) + tau);
    }
    return model;
  });
}

function run(options: unknown, name = ""): { model: Float32Array; state: StrategyState } {
  const strategy = registry.strategy(options);
  if (name !== "") t.equal(strategy.name, name);
  let model: Float32Array = Float32Array.of(1, 1, 1);
  let state = strategy.begin(3);
  for (const update of updates) {
    // What was kept has been to a disk or over a network.
    state = decodeState(encodeState(state), 3);
    ({ model, state } = strategy.step(model, given(update), state, { math }));
  }
  t.equal(state.round, 3);
  return { model, state };
}

const near = (t: Test, found: Float32Array, wanted: readonly number[]) => {
  for (const [k, value] of wanted.entries())
    t.ok(
      Math.abs(found[k]! - value) < 2e-6 * Math.max(1, Math.abs(value)),
      `${found[k]} for ${value}`,
    );
};

t.test("adaptive servers are those of Reddi et al.", async (t) => {
  for (const [kind, beta1] of [
    ["fedadagrad", 0],
    ["fedadam", 0.9],
    ["fedyogi", 0.9],
  ] as const) {
    near(
      t,
      run({ server: { kind } }, `mean, ${kind}`).model,
      reference(kind, 0.1, beta1, 0.99, 1e-3),
    );
    const options = { kind, learningRate: 0.03, beta1: 0.5, beta2: 0.8, tau: 0.1 };
    near(t, run({ server: options }).model, reference(kind, 0.03, 0.5, 0.8, 0.1));
  }
});

t.test("plain and heavy-ball servers", async (t) => {
  near(t, run({}, "mean, fedavg").model, [3.5, 0.25, 1]);
  near(t, run({ server: { kind: "fedavg", learningRate: 0.5 } }).model, [2.25, 0.625, 1]);
  const sums = updates[0]!.map((_, k) => {
    const [a, b, c] = updates.map((each) => each[k]!);
    return 1 + 0.5 * (a! + (0.8 * a! + b!) + (0.64 * a! + 0.8 * b! + c!));
  });
  near(t, run({ server: { kind: "fedavgm", learningRate: 0.5, momentum: 0.8 } }).model, sums);
});

t.test("any rule goes with any server, and the state has what both need", async (t) => {
  const rule = { kind: "centred-clipping", radius: 0.5 };
  const { state } = run({ rule, server: { kind: "fedyogi" } }, "centred-clipping, fedyogi");
  t.same(Object.keys(state.moments).sort(), ["first", "second"]);
  t.equal(state.previous?.length, 3);
});

t.test("the rule alone, without a model", async (t) => {
  const strategy = registry.strategy({ rule: { kind: "median" }, server: { kind: "fedadam" } });
  const all = [1, 5, 3].map((value, at) => ({ ...given([value, -value])[0]!, sender: `${at}` }));
  t.same([...strategy.combine(all, { math })], [3, -3]);
  t.throws(() => strategy.combine(all, { math, length: 3 }), { code: "aggregation.length" });
});

t.test("a step that fails changes nothing, and says why", async (t) => {
  const strategy = new Strategy(new Mean(), new ServerMomentum());
  const state = strategy.begin(2);
  const model = Float32Array.of(3e38, 0);
  t.throws(() => strategy.step(model, given([3e38, 0]), state, { math }), {
    code: "aggregation.overflow",
    message: /fedavgm left the range/,
  });
  t.throws(() => strategy.step(model, given([1]), state, { math }), {
    code: "aggregation.length",
    message: /where the model has 2/,
  });
  t.throws(() => strategy.step(Float32Array.of(1), given([1]), state, { math }), {
    code: "aggregation.state",
    message: /momentum of the strategy's state has 2 values where the model has 1/,
  });
  t.same(state, strategy.begin(2));
});

t.test("states from elsewhere are read with care", async (t) => {
  const state = {
    round: 7,
    previous: Float32Array.of(1, -2),
    moments: { second: Float32Array.of(3, 4), first: Float32Array.of(5, 6e-30) },
  };
  const bytes = encodeState(state);
  t.same(decodeState(bytes, 2), state);
  const { first, second } = state.moments;
  t.same(encodeState({ ...state, moments: { first, second } }), bytes, "the same bytes always");
  const refused = (spoilt: Uint8Array, length = 2) =>
    t.throws(() => decodeState(spoilt, length), { code: "aggregation.state" });
  for (let length = 0; length < bytes.length; length++) refused(bytes.subarray(0, length));
  refused(Uint8Array.of(...bytes, 0));
  refused(bytes, 3);
  refused(bytes, 2 ** 40);
  for (let at = 0; at < bytes.length; at++)
    for (const byte of [0, 0xff]) {
      try {
        decodeState(bytes.with(at, byte), 2);
      } catch (error) {
        t.match(error, { code: "aggregation.state" });
      }
    }
  refused(encodeState({ ...state, previous: Float32Array.of(1, Number.NaN) }));
  for (const name of ["previous", "", "a b", "x".repeat(33)])
    t.throws(() => encodeState({ ...state, moments: { [name]: Float32Array.of(1, 2) } }), {
      code: "aggregation.state",
    });
  t.throws(() => encodeState({ ...state, moments: { first: Float32Array.of(1) } }), {
    code: "aggregation.state",
  });
});

t.test("options are checked, with the nearest name that is known", async (t) => {
  const wrong = (options: unknown, message: RegExp) =>
    t.throws(() => registry.strategy(options), { code: "aggregation.options", message });
  wrong(
    { rule: { kind: "krumm", byzantine: 1 } },
    /rule.kind krumm is not known; did you mean krum\?/,
  );
  wrong(
    { rule: { kind: "krum", byzantin: 1 } },
    /rule.byzantin is not known to krum; did you mean byzantine\?/,
  );
  wrong({ rule: { kind: "krum" } }, /rule.byzantine is missing/);
  wrong({ rule: { kind: "krum", byzantine: "2" } }, /rule.byzantine/);
  wrong({ rule: { kind: "krum", byzantine: -1 } }, /rule.byzantine/);
  wrong({ rule: { kind: "trimmed-mean", trim: 0 } }, /rule.trim/);
  wrong({ rule: {} }, /rule.kind is missing: one of mean, /);
  wrong({ rule: null }, /rule.kind is missing/);
  wrong({ rules: {} }, /rules is not known; did you mean rule\?/);
  wrong({ server: { kind: "adam" } }, /did you mean fedadam\?/);
  wrong({ server: { kind: "fedadam", beta1: 1 } }, /server.beta1/);
  wrong({ before: {} }, /before has to be a list/);
  wrong({ before: [{ kind: "nnm" }] }, /before.0.kind nnm is not known/);
  wrong({ before: Array.from({ length: 5 }, () => ({ kind: "bucketing", size: 2 })) }, /at most 4/);
  wrong([], /an object/);
  wrong("mean", /an object/);
  wrong({ rule: { kind: "x".repeat(1e6) } }, /^rule.kind x{64} is not known/);
  wrong({ rule: { kind: "__proto__" } }, /not known/);
});

t.test("every kind can be built from its name, and its schema knows it", async (t) => {
  const schema = registry.schema();
  const full = [
    { kind: "mean" },
    { kind: "qfedavg", q: 1, learningRate: 0.1 },
    { kind: "krum", byzantine: 1 },
    { kind: "multi-krum", byzantine: 1 },
    { kind: "multi-krum", byzantine: 1, select: 2 },
    { kind: "bulyan", byzantine: 1 },
    { kind: "median" },
    { kind: "trimmed-mean", trim: 1 },
    { kind: "geometric-median" },
    { kind: "centred-clipping", radius: 1 },
  ];
  for (const rule of full) {
    const options = { rule, before: [{ kind: "nearest-neighbour-mixing", byzantine: 1 }] };
    t.equal(registry.strategy(options).name, `nearest-neighbour-mixing + ${rule.kind}, fedavg`);
    t.same(describeFaults(schema, options), []);
  }
  t.match(describeFaults(schema, { rule: { kind: "krum" } }), [/rule.byzantine is missing/]);
});

t.test("rules of one's own have a name and options too", async (t) => {
  const own = new StrategyRegistry();
  const schema = Type.Object({ kind: Type.Literal("first"), times: Type.Number({ default: 2 }) });
  own.addRule(schema, ({ times }) => ({
    name: "first",
    aggregate: ([update]) => update!.map((value) => times * value),
  }));
  const strategy = own.strategy({ rule: { kind: "first" } });
  const { model } = strategy.step(new Float32Array(1), given([3]), strategy.begin(1), { math });
  t.same([...model], [6]);
  t.throws(() => own.addRule(schema, () => new Mean()), { message: /first is there already/ });
  t.throws(() => own.addRule(Type.Object({}), () => new Mean()), { message: /kind is no literal/ });
});
