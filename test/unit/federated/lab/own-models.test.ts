// Models that clients keep for themselves, and models of several architectures that teach each other.
import { createHash } from "node:crypto";
import t from "tap";
import { Default } from "typebox/value";
import { blobs } from "../../../../src/federated/data/blobs.ts";
import type { Dataset, LabelledSamples } from "../../../../src/federated/data/dataset.ts";
import { type Experiment, experimentSchema } from "../../../../src/federated/lab/options.ts";
import { runExperiment } from "../../../../src/federated/lab/run.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { StrategyRegistry } from "../../../../src/federated/strategies/registry.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";

const clouds = blobs(
  { features: 6, classes: 3, train: 600, test: 300, spread: 0.8 },
  new SeededRandom("clouds"),
);
const dense = (units: number) => ({ kind: "dense", units, activation: "relu" });
const last = { kind: "dense", units: 3 };
const local = { kind: "local", epochs: 1, batchSize: 10, learningRate: 0.1 };

/** Six clients who name what they see each in its own way: no model can be right for all of them. */
function disagreeing(): Dataset {
  const groups = Int32Array.from({ length: clouds.train.count }, (_, at) => at % 6);
  const train: LabelledSamples = {
    ...clouds.train,
    groups,
    targets: clouds.train.targets.map((target, at) => (target + ((groups[at] ?? 0) % 3)) % 3),
  };
  return { ...clouds, train };
}

function run(dataset: Dataset, changes: Record<string, unknown>) {
  const filled = Default(experimentSchema, { dataset: { kind: "blobs" }, rounds: 8, ...changes });
  const experiment = Default(experimentSchema, filled) as Experiment;
  const rounds = runExperiment({
    experiment,
    dataset,
    backend: new PlainTrainingBackend(),
    strategy: new StrategyRegistry().strategy(experiment.strategy ?? {}),
    math: new PlainVectorMath(),
    random: new SeededRandom("own models"),
  });
  let turn = rounds.next(false);
  while (turn.done !== true) turn = rounds.next(false);
  const { result, weights } = turn.value;
  const hash = createHash("sha256").update(new Uint8Array(weights.buffer)).digest("hex");
  return { ...result, hash };
}

t.test("where clients disagree, a model of one's own is better than the global one", async (t) => {
  const common = {
    partition: { kind: "groups" },
    model: { layers: [dense(12), { kind: "batch-norm" }, last] },
    client: local,
  };
  const meta = {
    kind: "meta",
    steps: 8,
    batchSize: 16,
    innerLearningRate: 0.2,
    learningRate: 0.2,
  };
  const tuned = { kind: "fine-tune", learningRate: 0.2, epochs: 3 };
  const global = run(disagreeing(), { ...common, personal: { kind: "global" } });
  t.ok((global.ownAccuracy ?? 1) < 0.6, `the global model: ${global.ownAccuracy}`);
  for (const [name, changes] of [
    ["fine-tuned", { personal: tuned }],
    ["Per-FedAvg", { client: meta, personal: tuned }],
    ["MAML", { client: { ...meta, innerSteps: 2, order: "first" }, personal: tuned }],
    ["Ditto", { personal: { kind: "ditto", lambda: 0.1, learningRate: 0.1 } }],
  ] as const) {
    const { ownAccuracy = 0 } = run(disagreeing(), { ...common, ...changes });
    t.ok(ownAccuracy > (global.ownAccuracy ?? 1) + 0.2, `${name}: ${ownAccuracy}`);
  }
});

t.test("with FedBN clients whose sensors are scaled otherwise are served better", async (t) => {
  const groups = Int32Array.from({ length: clouds.train.count }, (_, at) => at % 6);
  const features = clouds.train.features.map((value, at) => {
    const group = groups[Math.floor(at / 6)] ?? 0;
    return value * (1 + 2 * group) + 4 * group;
  });
  const dataset: Dataset = { ...clouds, train: { ...clouds.train, groups, features } };
  const common = {
    partition: { kind: "groups" },
    model: { layers: [{ kind: "batch-norm", momentum: 0.5 }, dense(12), last] },
    client: local,
  };
  const { ownAccuracy: global = 1 } = run(dataset, { ...common, personal: { kind: "global" } });
  const { ownAccuracy: own = 0 } = run(dataset, { ...common, personal: { kind: "fed-bn" } });
  t.ok(own > global + 0.02, `${own} instead of ${global}`);
});

const teaching = {
  architectures: {
    small: { layers: [dense(4), last] },
    large: { layers: [dense(24), dense(12), last] },
  },
  transfer: { kind: "public", count: 100 },
  learningRate: 0.02,
  epochs: 4,
};
const pupils = {
  partition: { kind: "dirichlet", alpha: 0.3, samplesMin: 5 },
  clients: 10,
  client: local,
};

t.test(
  "a small and a large architecture teach each other, also over samples that nobody measured",
  async (t) => {
    const alone = run(clouds, { ...pupils, teaching: { ...teaching, teach: false } });
    for (const kind of ["public", "generated"]) {
      const transfer = { kind, count: 100 };
      const taught = run(clouds, { ...pupils, teaching: { ...teaching, transfer } });
      t.ok(taught.accuracy > alone.accuracy + 0.02, `${kind}: ${taught.accuracy}`);
      if (kind === "public")
        for (const name of ["small", "large"])
          t.ok(
            (taught.byArchitecture?.[name] ?? 0) > (alone.byArchitecture?.[name] ?? 1) + 0.02,
            `${name}: ${alone.byArchitecture?.[name]} alone, ${taught.byArchitecture?.[name]} taught`,
          );
      t.equal(taught.hash, run(clouds, { ...pupils, teaching: { ...teaching, transfer } }).hash);
    }
    t.equal(alone.uploadedBytes, 0);
  },
);

t.test("liars among those who answer are withstood by a robust rule", async (t) => {
  const attack = { kind: "omniscient", attackers: 3, factor: 20 };
  const mean = run(clouds, { ...pupils, teaching, attack });
  const median = run(clouds, {
    ...pupils,
    teaching,
    attack,
    strategy: { rule: { kind: "median" } },
  });
  t.ok(median.accuracy > mean.accuracy + 0.3, `${median.accuracy} and ${mean.accuracy}`);
});

t.test("says which setting can not be", async (t) => {
  const common = { clients: 10, client: local, model: { layers: [dense(4), last] } };
  for (const [changes, message] of [
    [{ model: undefined }, /model is missing/],
    [{ personal: { kind: "fed-bn" } }, /fed-bn needs a batch-norm layer/],
    [{ clients: 600, personal: { kind: "global" } }, /client 0 has 1 samples/],
    [{ teaching, client: { kind: "gradient" } }, /teaching wants clients that train/],
    [
      { teaching: { ...teaching, transfer: { kind: "public", count: 600 } } },
      /teaching.transfer.count: 600 of 600/,
    ],
    [
      { teaching, attack: { kind: "zero", attackers: 10 } },
      /attack.attackers: 10 of 10 clients; one has to be honest/,
    ],
    [{ teaching, attack: { kind: "sign-flip", attackers: 1 } }, undefined],
  ] as const)
    if (message === undefined) t.doesNotThrow(() => run(clouds, { ...common, ...changes }));
    else t.throws(() => run(clouds, { ...common, ...changes }), { name: "LabError", message });
});
