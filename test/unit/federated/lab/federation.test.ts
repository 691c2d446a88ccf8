import { createHash } from "node:crypto";
import t from "tap";
import { Default } from "typebox/value";
import { blobs } from "../../../../src/federated/data/blobs.ts";
import { shuffle } from "../../../../src/federated/data/draw.ts";
import { Federation, type FederationParts } from "../../../../src/federated/lab/federation.ts";
import { type Experiment, experimentSchema } from "../../../../src/federated/lab/options.ts";
import { runExperiment } from "../../../../src/federated/lab/run.ts";
import { variantsOf } from "../../../../src/federated/lab/variants.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { StrategyRegistry } from "../../../../src/federated/strategies/registry.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";

const dataset = blobs(
  { features: 6, classes: 3, train: 600, test: 300, spread: 0.8 },
  new SeededRandom("blobs"),
);
const layers = [
  { kind: "dense", units: 12, activation: "relu" },
  { kind: "dense", units: 3 },
];
const local = { kind: "local", epochs: 1, batchSize: 10, learningRate: 0.1 };
const gradient = { kind: "gradient", batchSize: 16 };
const common = {
  dataset: { kind: "blobs" },
  clients: 10,
  model: { layers },
  client: local,
  rounds: 5,
};

function parts(changes: Record<string, unknown> = {}, seed: string | number = 1): FederationParts {
  const experiment = Default(experimentSchema, { ...common, ...changes }) as Experiment;
  return {
    experiment: Default(experimentSchema, experiment) as Experiment,
    dataset,
    backend: new PlainTrainingBackend(),
    strategy: new StrategyRegistry().strategy(experiment.strategy ?? {}),
    math: new PlainVectorMath(),
    random: new SeededRandom(seed),
  };
}

function run(changes: Record<string, unknown> = {}, seed: string | number = 1) {
  const rounds = runExperiment(parts(changes, seed));
  let turn = rounds.next(false);
  while (turn.done !== true) turn = rounds.next(false);
  const { result, weights } = turn.value;
  const hash = createHash("sha256").update(new Uint8Array(weights.buffer)).digest("hex");
  return { ...result, hash };
}

t.test("the same seed gives the same bits, whatever is turned on", async (t) => {
  const everything = {
    fraction: 0.5,
    partition: { kind: "dirichlet", alpha: 0.5, samplesMin: 5 },
    client: { ...local, momentum: 0.5, proximalMu: 0.01, scaffold: true },
    compression: { topShare: 0.2, quantize: "int8", rounding: "stochastic", zstd: 1 },
    attack: { kind: "gaussian", attackers: 1 },
    strategy: { rule: { kind: "median" }, server: { kind: "fedadam", learningRate: 0.05 } },
  };
  const one = run(everything);
  t.same(run(everything), one);
  t.not(run(everything, 2).hash, one.hash);
  // Pinned: a change of a bit is a change of every figure that was ever published.
  t.equal(one.hash.slice(0, 16), "b78eca873e3d1a92");
});

t.test("FedAvg with one client is plain SGD", async (t) => {
  const federation = new Federation(parts({ clients: 1, client: { ...local, epochs: 2 } }, "one"));
  const random = new SeededRandom("one");
  const model = new PlainTrainingBackend().build(
    { inputShape: [6], layers: layers as never, loss: "softmax-cross-entropy" },
    random.fork("model"),
  );
  const weights = new Float32Array(model.parameterCount);
  for (let round = 1; round <= 3; round++) {
    federation.step();
    const draw = random.fork(`round ${round}`).fork("client 0");
    draw.next();
    for (let epoch = 0; epoch < 2; epoch++)
      model.train(dataset.train, {
        order: shuffle(
          Int32Array.from({ length: 600 }, (_, at) => at),
          draw,
        ),
        batchSize: 10,
        learningRate: 0.1,
      });
  }
  model.read(weights);
  // Apart from rounding: the server adds a difference to what the client began with.
  t.ok(federation.weights.every((value, at) => Math.abs(value - weights[at]!) < 1e-5));
});

t.test("one step of all gradients is a step of the whole", async (t) => {
  const federation = new Federation(
    parts({
      client: { ...gradient, batchSize: 1_000 },
      strategy: { server: { kind: "fedavg", learningRate: 0.1 } },
    }),
  );
  const before = federation.weights.slice();
  federation.step();
  const model = new PlainTrainingBackend().build(
    { inputShape: [6], layers: layers as never, loss: "softmax-cross-entropy" },
    new SeededRandom(1).fork("model"),
  );
  const slope = new Float32Array(model.parameterCount);
  model.gradient(dataset.train, slope);
  t.ok(
    federation.weights.every(
      (value, at) => Math.abs(value - (before[at]! - 0.1 * slope[at]!)) < 1e-6,
    ),
  );
});

t.test("learning learns, by every rule for clients", async (t) => {
  for (const client of [
    local,
    { ...local, proximalMu: 0.1 },
    { ...local, scaffold: true },
    { ...local, momentum: 0.5 },
  ])
    t.ok(run({ client, rounds: 8 }).accuracy > 0.85, JSON.stringify(client));
  const sgd = { client: gradient, strategy: { server: { kind: "fedavg", learningRate: 0.3 } } };
  t.ok(run({ ...sgd, rounds: 60 }).accuracy > 0.85);
  t.ok(run({ ...sgd, client: { ...gradient, momentum: 0.9 }, rounds: 60 }).accuracy > 0.85);
  const fair = { strategy: { rule: { kind: "qfedavg", q: 1, learningRate: 0.1 } } };
  t.ok(run({ ...fair, rounds: 20 }).accuracy > 0.8, "rules that ask for losses get them");
});

t.test("liars ruin the mean and not the median", async (t) => {
  const sgd = (rule: string, attack: unknown) =>
    run({
      client: gradient,
      rounds: 60,
      attack,
      strategy: { rule: { kind: rule }, server: { kind: "fedavg", learningRate: 0.3 } },
    }).accuracy;
  const omniscient = { kind: "omniscient", attackers: 3, factor: 20 };
  t.ok(sgd("mean", omniscient) < 0.5);
  t.ok(sgd("median", omniscient) > 0.8);
  for (const kind of ["gaussian", "inner-product", "little-is-enough", "sign-flip", "zero"])
    t.ok(
      sgd("median", { kind, attackers: 2, ...(kind === "gaussian" && { sigma: 200 }) }) > 0.6,
      kind,
    );
});

t.test("many samples of one client outweigh the others, unless all count the same", async (t) => {
  // One client has half of all samples and names them wrongly; ten have thirty each, and the test samples are like theirs.
  const groups = Int32Array.from({ length: 600 }, (_, at) => (at < 300 ? 0 : 1 + (at % 10)));
  const targets = dataset.train.targets.map((target, at) => (at < 300 ? (target + 1) % 3 : target));
  const misled = { ...dataset, train: { ...dataset.train, groups, targets } };
  const accuracy = (changes: Record<string, unknown>): number => {
    const partition = { kind: "groups" };
    const federation = new Federation({
      ...parts({ clients: 11, partition, rounds: 10, ...changes }),
      dataset: misled,
    });
    for (let round = 0; round < 10; round++) federation.step();
    return federation.evaluate().accuracy;
  };
  const equally = accuracy({ weigh: "equally" });
  t.ok(equally > 0.7, `equally: ${equally}`);
  const bySamples = accuracy({});
  t.ok(bySamples < equally - 0.2, `by samples: ${bySamples}`);
  const meta = { kind: "meta", steps: 10, innerLearningRate: 0.05, learningRate: 0.2 };
  const adapting = accuracy({ client: { ...meta, order: "first" } });
  t.ok(adapting > 0.7, `Per-FedAvg counts all the same: ${adapting}`);
});

t.test("bytes are counted, and made fewer", async (t) => {
  const plain = run();
  t.equal(plain.uploadedBytes, 5 * 10 * 4 * plain.parameterCount);
  t.equal(plain.compressionRatio, 1);
  const small = run({ compression: { topShare: 0.1, quantize: "int8" } });
  t.ok(small.compressionRatio > 5);
  t.equal(
    Math.round(plain.uploadedBytes / small.uploadedBytes),
    Math.round(small.compressionRatio),
  );
  t.ok(
    small.history.every(({ compressionError = 0 }) => compressionError > 0 && compressionError < 1),
  );
});

t.test("a run ends at its accuracy, when it is asked to, or when the model diverges", async (t) => {
  const reached = run({ rounds: 100, stopAtAccuracy: 0.85, evaluateEvery: 2 });
  t.ok(reached.reachedAtRound !== undefined && reached.rounds === reached.reachedAtRound);
  t.equal(reached.rounds % 2, 0);
  const rounds = runExperiment(parts({ rounds: 100 }));
  rounds.next(false);
  const turn = rounds.next(true);
  t.match(turn, { done: true, value: { result: { rounds: 1, stopped: true } } });
  const diverged = run({ client: { ...local, learningRate: 1_000 } });
  t.match(diverged.diverged, /round \d+: .*(finite|NaN|Infinity)/i);
  t.ok(Number.isFinite(diverged.accuracy));
});

t.test("what can not be is refused before the first round", async (t) => {
  for (const [changes, told] of [
    [{ attack: { kind: "zero", attackers: 10 } }, /attackers: 10 of 10 clients/],
    [{ clients: undefined }, /clients is missing/],
    [{ clients: 601 }, /600 samples are not enough/],
    [{ partition: { kind: "groups" } }, /no groups/],
    [{ model: { layers: [{ kind: "conv1d", filters: 1, kernelSize: 2 }] } }, /conv1d/],
  ] as const)
    t.throws(() => new Federation(parts(changes)), { message: told });
  const wide = {
    layers: [
      { kind: "dense", units: 400_000 },
      { kind: "dense", units: 3 },
    ],
  };
  t.throws(
    () =>
      new Federation(parts({ clients: 600, model: wide, client: { ...local, scaffold: true } })),
    { name: "LabError", message: /600 clients would have to remember/ },
  );
});

t.test("variants: every combination, sections laid over each other", async (t) => {
  const variants = variantsOf({ client: { kind: "local", epochs: 1 }, rounds: 3 }, [
    { name: "epochs", values: { one: {}, five: { client: { epochs: 5 } } } },
    { name: "kind", values: { same: {}, other: { client: { kind: "gradient" }, rounds: 9 } } },
  ]);
  t.same(
    variants.map(({ labels, document }) => [labels.map(([, value]) => value).join(" "), document]),
    [
      ["one same", { client: { kind: "local", epochs: 1 }, rounds: 3 }],
      ["one other", { client: { kind: "gradient" }, rounds: 9 }],
      ["five same", { client: { kind: "local", epochs: 5 }, rounds: 3 }],
      ["five other", { client: { kind: "gradient" }, rounds: 9 }],
    ],
  );
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [String(at), {}]));
  t.throws(
    () =>
      variantsOf({}, [
        { name: "a", values: many },
        { name: "b", values: many },
      ]),
    /1600 variants, 1000 at most/,
  );
});
