import t from "tap";
import { trainDitto } from "../../../../src/federated/personalization/ditto.ts";
import {
  hasNormalization,
  withOwnNormalization,
} from "../../../../src/federated/personalization/fed-bn.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import type { ModelSpec } from "../../../../src/platform/training-backend.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";

const backend = new PlainTrainingBackend();
const random = new SeededRandom("own-model");

t.test("Ditto's own model stands between the client's optimum and the global one", async (t) => {
  // (w - 5)^2 for the client, lambda / 2 (w - 1)^2 for the pull: the minimum is (10 + lambda) / (2 + lambda).
  const spec: ModelSpec = {
    inputShape: [1],
    layers: [{ kind: "dense", units: 1 }],
    loss: "mean-squared-error",
  };
  const model = backend.build(spec, random);
  const samples = {
    count: 2,
    features: Float32Array.of(1, -1),
    targets: Float32Array.of(5, -5),
  };
  const global = Float32Array.of(1, 0);
  for (const lambda of [0, 1, 8]) {
    const personal = Float32Array.of(2, 0);
    const order = Int32Array.from({ length: 800 }, (_, at) => at % 2);
    trainDitto(
      model,
      samples,
      { order, batchSize: 2, learningRate: 0.05, lambda },
      global,
      personal,
    );
    const wanted = (10 + lambda) / (2 + lambda);
    t.ok(Math.abs((personal[0] ?? 0) - wanted) < 1e-3, `lambda ${lambda}: ${personal[0]}`);
  }
  t.same([...global], [1, 0], "the global model is not touched");
});

t.test("with FedBN normalization is the client's, all else the fleet's", async (t) => {
  const model = backend.build(
    {
      inputShape: [3],
      layers: [
        { kind: "dense", units: 4, activation: "relu" },
        { kind: "batch-norm" },
        { kind: "dense", units: 2 },
      ],
      loss: "softmax-cross-entropy",
    },
    random,
  );
  const { layout, parameterCount } = model;
  t.ok(hasNormalization(layout));
  const global = new Float32Array(parameterCount).fill(1);
  const own = new Float32Array(parameterCount).fill(2);
  const both = withOwnNormalization(layout, global, own);
  for (const { layer, offset, size } of layout)
    t.ok(
      both.subarray(offset, offset + size).every((value) => value === (layer === 1 ? 2 : 1)),
      `layer ${layer}`,
    );
  t.ok(global.every((value) => value === 1));
  t.notOk(hasNormalization(layout.filter(({ layer }) => layer !== 1)));
});
