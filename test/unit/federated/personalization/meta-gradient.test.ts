import t from "tap";
import { metaGradient } from "../../../../src/federated/personalization/meta-gradient.ts";
import { metaTrain } from "../../../../src/federated/personalization/per-fed-avg.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import type {
  ModelSpec,
  Samples,
  TrainableModel,
} from "../../../../src/platform/training-backend.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";

const random = new SeededRandom("meta-gradient");
const backend = new PlainTrainingBackend();

/** `y = a x`, without noise. */
function line(a: number, xs: readonly number[]): Samples {
  return {
    count: xs.length,
    features: Float32Array.from(xs),
    targets: Float32Array.from(xs, (x) => a * x),
  };
}

const linear: ModelSpec = {
  inputShape: [1],
  layers: [{ kind: "dense", units: 1 }],
  loss: "mean-squared-error",
};

function startedAt(weights: readonly number[]): TrainableModel {
  const model = backend.build(linear, random);
  model.write(Float32Array.from(weights));
  return model;
}

/** Of the mean squared error of `w x + b` on a line through the origin. */
function quadratic(samples: Samples) {
  const xs = [...samples.features];
  const ys = [...samples.targets];
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const hessian = [
    [2 * mean(xs.map((x) => x * x)), 2 * mean(xs)],
    [2 * mean(xs), 2],
  ] as const;
  const gradient = (w: number, b: number): [number, number] => [
    2 * mean(xs.map((x, at) => (w * x + b - (ys[at] ?? 0)) * x)),
    2 * mean(xs.map((x, at) => w * x + b - (ys[at] ?? 0))),
  ];
  return { hessian, gradient };
}

t.test("equals the closed form on quadratics, for one step and for three", async (t) => {
  const inner = [line(3, [1, 2, -1]), line(3, [0.5, -2, 1]), line(3, [2, 1, 0.25])];
  const outer = line(3, [1.5, -0.5, 0.75]);
  const a = 0.05;
  for (const steps of [1, 3])
    for (const order of ["first", "hessian-free"] as const) {
      const model = startedAt([0.4, -0.2]);
      const got = new Float32Array(2);
      metaGradient(model, inner.slice(0, steps), outer, { innerLearningRate: a, order }, got);
      let [w, b] = [0.4, -0.2];
      for (const batch of inner.slice(0, steps)) {
        const [gw, gb] = quadratic(batch).gradient(w, b);
        [w, b] = [w - a * gw, b - a * gb];
      }
      let wanted = quadratic(outer).gradient(w, b);
      if (order === "hessian-free")
        for (const batch of inner.slice(0, steps).reverse()) {
          const { hessian } = quadratic(batch);
          wanted = [0, 1].map(
            (row) =>
              (wanted[row] ?? 0) -
              a * ((hessian[row]?.[0] ?? 0) * wanted[0] + (hessian[row]?.[1] ?? 0) * wanted[1]),
          ) as [number, number];
        }
      for (const at of [0, 1] as const)
        t.ok(
          Math.abs((got[at] ?? 0) - wanted[at]) < 2e-3 * Math.abs(wanted[at]) + 1e-4,
          `${order}, ${steps} steps: ${got[at]}, wanted ${wanted[at]}`,
        );
      const after = new Float32Array(2);
      model.read(after);
      t.same([...after], [...Float32Array.of(0.4, -0.2)], "the model has its weights again");
      model.dispose();
    }
});

t.test("the Hessian's batch may be another: (I - a H') grad f(w - a grad)", async (t) => {
  const [inner, outer, other] = [line(3, [1, 2, -1]), line(3, [1.5, -0.5]), line(3, [3, 0.5])];
  const a = 0.05;
  const model = startedAt([0.4, -0.2]);
  const got = new Float32Array(2);
  const options = { innerLearningRate: a, order: "hessian-free" } as const;
  metaGradient(model, [inner], outer, options, got, [other]);
  const [gw, gb] = quadratic(inner).gradient(0.4, -0.2);
  const after = quadratic(outer).gradient(0.4 - a * gw, -0.2 - a * gb);
  const { hessian } = quadratic(other);
  for (const at of [0, 1] as const) {
    const wanted = after[at] - a * (hessian[at][0] * after[0] + hessian[at][1] * after[1]);
    t.ok(Math.abs((got[at] ?? 0) - wanted) < 2e-3 * Math.abs(wanted) + 1e-4, `${got[at]}`);
  }
});

t.test("foresees how the loss after adapting changes, in a network that bends", async (t) => {
  const spec: ModelSpec = {
    inputShape: [2],
    layers: [
      { kind: "dense", units: 6, activation: "tanh" },
      { kind: "dense", units: 1 },
    ],
    loss: "mean-squared-error",
  };
  const draw = (count: number): Samples => {
    const features = Float32Array.from({ length: count * 2 }, () => 2 * random.next() - 1);
    const targets = Float32Array.from({ length: count }, (_, at) =>
      Math.sin(3 * (features[2 * at] ?? 0)),
    );
    return { count, features, targets };
  };
  const [inner, outer] = [draw(32), draw(32)];
  const model = backend.build(spec, random);
  const start = new Float32Array(model.parameterCount);
  model.read(start);
  const innerLearningRate = 0.5;
  const exact = new Float32Array(model.parameterCount);
  metaGradient(model, [inner], outer, { innerLearningRate, order: "hessian-free" }, exact);
  const rough = new Float32Array(model.parameterCount);
  metaGradient(model, [inner], outer, { innerLearningRate, order: "first" }, rough);
  /** Loss after one step from `start + reach * direction`. */
  const adapted = (direction: Float32Array, reach: number): number => {
    const gradient = new Float32Array(model.parameterCount);
    const from = start.map((value, at) => value + reach * (direction[at] ?? 0));
    model.write(from);
    model.gradient(inner, gradient);
    model.write(from.map((value, at) => value - innerLearningRate * (gradient[at] ?? 0)));
    return model.evaluate(outer).loss;
  };
  const along = (gradient: Float32Array, direction: Float32Array): number =>
    gradient.reduce((sum, value, at) => sum + value * (direction[at] ?? 0), 0);
  let offExact = 0;
  let offRough = 0;
  for (let trial = 0; trial < 20; trial++) {
    const direction = start.map(() => 2 * random.next() - 1);
    const seen = (adapted(direction, 5e-3) - adapted(direction, -5e-3)) / 1e-2;
    offExact += Math.abs(along(exact, direction) - seen);
    offRough += Math.abs(along(rough, direction) - seen);
  }
  t.ok(offExact * 10 < offRough, `off by ${offExact}, without second derivatives by ${offRough}`);
});

t.test(
  "refuses no inner step, and too many; what diverges leaves the model as it was",
  async (t) => {
    const model = startedAt([1, 1]);
    const into = new Float32Array(2);
    const samples = line(1, [1, 2]);
    const options = { innerLearningRate: 0.1, order: "first" } as const;
    for (const inner of [[], Array.from({ length: 17 }, () => samples)])
      t.throws(() => metaGradient(model, inner, samples, options, into), {
        code: "training.samples",
        message: /inner steps: there have to be 1 to 16/,
      });
    t.throws(
      () =>
        metaGradient(
          model,
          Array.from({ length: 16 }, () => line(9, [1e4, -1e4])),
          samples,
          { innerLearningRate: 1e3, order: "first" },
          into,
        ),
      { code: "training.not-finite" },
    );
    const after = new Float32Array(2);
    model.read(after);
    t.same([...after], [1, 1]);
  },
);

t.test("what it finds can be used with normalization: statistics move with it", async (t) => {
  const model = backend.build(
    {
      inputShape: [1],
      layers: [
        { kind: "batch-norm", momentum: 0.9 },
        { kind: "dense", units: 2 },
      ],
      loss: "softmax-cross-entropy",
    },
    random,
  );
  // Two classes side by side, far from zero: without statistics of its own the model is lost there.
  const count = 64;
  const samples = {
    count,
    features: Float32Array.from({ length: count }, (_, at) => 50 + (at % 2) + at / 1_000),
    targets: Int32Array.from({ length: count }, (_, at) => at % 2),
  };
  const places = Int32Array.from({ length: count }, (_, at) => at);
  for (const innerSteps of [1, 2]) {
    const plan = {
      innerLearningRate: 0.1,
      order: "hessian-free",
      steps: 80,
      innerSteps,
      batchSize: 32,
      learningRate: 0.5,
    } as const;
    metaTrain(model, { samples, places }, plan, new SeededRandom("statistics"));
    const { accuracy, loss } = model.evaluate(samples);
    t.equal(accuracy, 1, `${innerSteps} steps`);
    t.ok(loss < 0.2, `loss ${loss}`);
  }
});

t.test("weights found by it adapt in one step to lines of opposite slope", async (t) => {
  const clients = [line(4, [0.5, 1, 1.5, 2]), line(-4, [0.5, 1, 1.5, 2])];
  const model = startedAt([1.5, 0.5]);
  const plan = {
    innerLearningRate: 0.2,
    order: "hessian-free",
    steps: 4,
    innerSteps: 1,
    batchSize: 4,
    learningRate: 0.05,
  } as const;
  const chance = new SeededRandom("lines");
  const weights = new Float32Array(2);
  for (let round = 0; round < 60; round++) {
    const start = new Float32Array(2);
    model.read(start);
    const mean = new Float32Array(2);
    for (const samples of clients) {
      model.write(start);
      metaTrain(model, { samples, places: Int32Array.of(0, 1, 2, 3) }, plan, chance);
      model.read(weights);
      for (const at of [0, 1] as const) mean[at] = (mean[at] ?? 0) + (weights[at] ?? 0) / 2;
    }
    model.write(mean);
  }
  const before = clients.map((samples) => model.evaluate(samples).loss);
  model.read(weights);
  const after = clients.map((samples) => {
    model.write(weights);
    const order = Int32Array.of(0, 1, 2, 3);
    model.train(samples, { order, batchSize: 4, learningRate: plan.innerLearningRate });
    return model.evaluate(samples).loss;
  });
  for (const at of [0, 1] as const)
    t.ok((after[at] ?? 1) * 4 < (before[at] ?? 0), `${before[at]} becomes ${after[at]}`);
});
