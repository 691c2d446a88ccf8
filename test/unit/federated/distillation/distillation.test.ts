import t from "tap";
import { centredLogits, distil, studentOf } from "../../../../src/federated/distillation/distil.ts";
import {
  featureStatistics,
  generateTransferSet,
  mergeStatistics,
} from "../../../../src/federated/distillation/transfer-set.ts";
import { translateParameters } from "../../../../src/federated/distillation/translate-parameters.ts";
import type { Random } from "../../../../src/platform/random.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import type { ModelSpec, ParameterInfo } from "../../../../src/platform/training-backend.ts";
import { layOut } from "../../../../src/platform/training-layout.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";

const backend = new PlainTrainingBackend();

function network(hidden: readonly number[]): ModelSpec {
  return {
    inputShape: [2],
    layers: [
      ...hidden.map((units) => ({ kind: "dense", units, activation: "relu" }) as const),
      { kind: "dense", units: 2 },
    ],
    loss: "softmax-cross-entropy",
  };
}

/** Inside or outside of a circle that halves the square. */
function circle(count: number, random: Random) {
  const features = Float32Array.from({ length: 2 * count }, () => 2 * random.next() - 1);
  const targets = Int32Array.from({ length: count }, (_, at) =>
    Math.hypot(features[2 * at] ?? 0, features[2 * at + 1] ?? 0) < 0.8 ? 1 : 0,
  );
  return { count, features, targets };
}

const ordered = (count: number, epochs: number): Int32Array =>
  Int32Array.from({ length: count * epochs }, (_, at) => (at * 7) % count);

t.test("statistics of parts are those of the whole", async (t) => {
  const random = new SeededRandom("statistics");
  const features = Float32Array.from({ length: 300 }, () => 50 + 3 * random.next());
  const whole = featureStatistics(features, 3);
  const merged = [features.subarray(0, 30), features.subarray(30, 210), features.subarray(210)]
    .map((part) => featureStatistics(part, 3))
    .reduce(mergeStatistics);
  t.equal(merged.count, 100);
  for (const at of [0, 1, 2] as const) {
    t.ok(Math.abs((merged.means[at] ?? 0) - (whole.means[at] ?? 1)) < 1e-9);
    t.ok(Math.abs((merged.deviations[at] ?? 0) - (whole.deviations[at] ?? 1)) < 1e-9);
  }
  const nothing = featureStatistics(new Float32Array(0), 3);
  t.same(mergeStatistics(nothing, nothing).count, 0);
  t.same(mergeStatistics(nothing, whole).means, whole.means);
});

t.test("a generated transfer set is spread like the samples, and the same for all", async (t) => {
  const random = new SeededRandom("spread");
  const features = Float32Array.from({ length: 4_000 }, (_, at) =>
    at % 2 === 0 ? 10 + random.next() : 100 * random.next(),
  );
  const statistics = featureStatistics(features, 2);
  const one = generateTransferSet(statistics, 2_000, new SeededRandom("agreed"));
  t.same(one, generateTransferSet(statistics, 2_000, new SeededRandom("agreed")));
  const seen = featureStatistics(one, 2);
  for (const at of [0, 1] as const) {
    const spread = Math.sqrt((statistics.deviations[at] ?? 0) / 2_000);
    const drawn = Math.sqrt((seen.deviations[at] ?? 0) / 2_000);
    t.ok(Math.abs((seen.means[at] ?? 0) - (statistics.means[at] ?? 0)) < spread / 5);
    t.ok(drawn > 0.9 * spread && drawn < 1.1 * spread);
  }
});

t.test("a small and a large model that learned little teach each other more", async (t) => {
  const random = new SeededRandom("teaching");
  const test = circle(1_000, random);
  const transfer = circle(400, random).features;
  const [small, large] = [network([8]), network([32, 16])];
  const models = [small, small, large, large].map((spec, at) => {
    const model = backend.build(spec, random.fork(`model ${at}`));
    const own = circle(40, random.fork(`samples ${at}`));
    model.train(own, { order: ordered(40, 200), batchSize: 8, learningRate: 0.1 });
    return { spec, model, alone: model.evaluate(test).accuracy ?? 0 };
  });
  const answers = models.map(({ model }) => centredLogits(model.predict(transfer, 400), 2));
  const taught = answers[0]?.map(
    (_, at) => answers.reduce((sum, each) => sum + (each[at] ?? 0), 0) / answers.length,
  );
  for (const { spec, model, alone } of models) {
    const weights = new Float32Array(model.parameterCount);
    model.read(weights);
    const report = distil(
      backend.build(studentOf(spec), random),
      weights,
      transfer,
      { count: 400, logits: taught ?? new Float32Array(0) },
      { order: ordered(400, 40), batchSize: 20, learningRate: 0.02 },
    );
    t.equal(report.steps, 800);
    model.write(weights);
    const after = model.evaluate(test).accuracy ?? 0;
    t.comment(
      `${spec.layers.length} layers: ${alone.toFixed(3)} alone, ${after.toFixed(3)} taught`,
    );
    t.ok(after > alone - 0.01);
  }
  const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;
  const after = models.map(({ model }) => model.evaluate(test).accuracy ?? 0);
  t.ok(mean(after) > mean(models.map(({ alone }) => alone)) + 0.01);
});

t.test("what all classes of a sample have in common is not compared", async (t) => {
  t.same([...centredLogits(Float32Array.of(1, 2, 3, 10, 11, 12), 3)], [-1, 0, 1, -1, 0, 1]);
});

t.test("a small model is a corner of a large one", async (t) => {
  const [small, large] = [network([3]), network([5])].map((spec) => layOut(spec).parameters);
  const named = (layout: readonly ParameterInfo[]): Float32Array =>
    Float32Array.from(
      layout.flatMap(({ size, offset }) =>
        Array.from({ length: size }, (_, at) => offset + at + 1),
      ),
    );
  const into = named(large ?? []).fill(0);
  t.equal(translateParameters(small ?? [], named(small ?? []), large ?? [], into), 6 + 3 + 6 + 2);
  t.same(
    [...into],
    [
      [1, 2, 3, 0, 0, 4, 5, 6, 0, 0],
      [7, 8, 9, 0, 0],
      [10, 11, 12, 13, 14, 15, 0, 0, 0, 0],
      [16, 17],
    ].flat(),
  );
  const back = named(small ?? []).fill(0);
  translateParameters(large ?? [], into, small ?? [], back);
  t.same([...back], [...named(small ?? [])], "and comes back out of it");
  const other = layOut(network([3, 3])).parameters;
  const kept = named(other);
  t.equal(
    translateParameters(small ?? [], named(small ?? []), other, kept),
    6 + 3 + 6 + 2,
    "a layer of another width is taken as far as it reaches",
  );
});
