import { createHash } from "node:crypto";
import t from "tap";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { LayerSpec, ModelSpec } from "../../../src/platform/training-backend.ts";
import { PlainTrainingBackend } from "../../../src/simulator/plain-training-backend.ts";

const perceptron: ModelSpec = {
  inputShape: [6],
  layers: [
    { kind: "dense", units: 9, activation: "relu" },
    { kind: "batch-norm" },
    { kind: "dropout", rate: 0.25 },
    { kind: "dense", units: 3 },
  ],
  loss: "softmax-cross-entropy",
};

t.test("the same bits on every machine", async (t) => {
  const random = new SeededRandom("plain");
  const model = new PlainTrainingBackend().build(perceptron, random);
  const samples = {
    count: 40,
    features: Float32Array.from({ length: 240 }, () => random.next() - 0.5),
    targets: Int32Array.from({ length: 40 }, () => Math.floor(3 * random.next())),
  };
  const order = Int32Array.from({ length: 40 }, (_, at) => at);
  for (let epoch = 0; epoch < 5; epoch++)
    model.train(samples, { order, batchSize: 7, learningRate: 0.1, momentum: 0.5 });
  const weights = new Float32Array(model.parameterCount);
  model.read(weights);
  const hash = createHash("sha256").update(new Uint8Array(weights.buffer)).digest("hex");
  t.equal(hash.slice(0, 16), "f35cffdd66aba70a");
});

t.test("what it has not is refused by its name, not done in another way", async (t) => {
  const backend = new PlainTrainingBackend();
  const build = (...layers: LayerSpec[]) =>
    backend.build(
      { inputShape: [8, 4], layers: [...layers, { kind: "flatten" }], loss: "mean-squared-error" },
      new SeededRandom(1),
    );
  const absent: LayerSpec[] = [
    { kind: "conv1d", filters: 2, kernelSize: 3 },
    { kind: "max-pool", size: 2 },
    { kind: "lstm", units: 3 },
    { kind: "gru", units: 3 },
    { kind: "global-average-pool" },
    { kind: "dense", units: 3, activation: "softmax" },
  ];
  for (const layer of absent)
    t.throws(
      () => build(layer),
      { code: "training.model", message: new RegExp(`layer 0.*${layer.kind}`) },
      layer.kind,
    );
  t.equal(backend.bytes(), 0, "and nothing of it is left");
});

t.test("a batch that does not fit into memory is refused before it is tried", async (t) => {
  const spec: ModelSpec = {
    inputShape: [1],
    layers: [{ kind: "dense", units: 10_000 }, { kind: "batch-norm" }, { kind: "dense", units: 1 }],
    loss: "mean-squared-error",
  };
  const model = new PlainTrainingBackend().build(spec, new SeededRandom(1));
  const count = 10_000;
  const samples = {
    count,
    features: new Float32Array(count),
    targets: new Float32Array(count),
  };
  const order = Int32Array.from({ length: count }, (_, at) => at);
  t.throws(() => model.train(samples, { order, batchSize: count, learningRate: 0.1 }), {
    code: "training.memory",
    message: /batch of 10000 samples.*smaller/,
  });
});
