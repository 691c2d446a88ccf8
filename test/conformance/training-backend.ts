import type { Test } from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type {
  ModelSpec,
  TrainableModel,
  TrainingBackend,
  TrainPlan,
} from "../../src/platform/training-backend.ts";
import { layOut } from "../../src/platform/training-layout.ts";
import { kindsOf, modelsByName, samplesFor } from "../support/training/models.ts";

/** What a suite is run on. */
export interface TrainingConformanceOptions {
  /** The kinds of layers that the backend has. */
  readonly kinds: readonly string[];
  /** Models of these names are left out, for activations that the backend has not. */
  readonly without?: readonly string[];
}

const flat: ModelSpec = {
  inputShape: [5],
  layers: [
    { kind: "dense", units: 7, activation: "tanh" },
    { kind: "dense", units: 3 },
  ],
  loss: "softmax-cross-entropy",
};
const random = (label: string) => new SeededRandom(`conformance/${label}`);
const inOrder = (count: number) => Int32Array.from({ length: count }, (_, at) => at);
const code = (code: string, message: RegExp) => ({ code, message });

function weightsOf(model: TrainableModel): Float32Array {
  const weights = new Float32Array(model.parameterCount);
  model.read(weights);
  return weights;
}

/** What every {@link TrainingBackend} keeps to. */
export function trainingBackendConformance(
  t: Test,
  make: () => TrainingBackend | Promise<TrainingBackend>,
  { kinds, without = [] }: TrainingConformanceOptions,
): void {
  const models = Object.entries(modelsByName).filter(
    ([name, spec]) =>
      !without.includes(name) && kindsOf(spec).every((kind) => kinds.includes(kind)),
  );
  const plan: TrainPlan = { order: inOrder(12), batchSize: 5, learningRate: 0.1 };

  t.test("parameters lie as the layout says, and begin as the seed says", async (t) => {
    const backend = await make();
    for (const [name, spec] of models) {
      const [model, again] = [backend.build(spec, random(name)), backend.build(spec, random(name))];
      t.same(model.layout, layOut(spec).parameters, name);
      t.same(weightsOf(model), weightsOf(again), `${name}: the same seed, the same weights`);
      const other = weightsOf(backend.build(spec, random("other")));
      t.notSame(weightsOf(model), other, `${name}: another seed, other weights`);
    }
    backend.dispose();
  });

  t.test("the gradient is the slope of the loss, and moves nothing", async (t) => {
    const backend = await make();
    for (const [name, spec] of models) {
      const model = backend.build(spec, random(name));
      const samples = samplesFor(spec, 11, random(`${name}/samples`));
      const weights = weightsOf(model);
      const draws = random(`${name}/weights`);
      for (const [at, weight] of weights.entries()) weights[at] = weight + 0.1 * draws.next();
      model.write(weights);
      const gradient = new Float32Array(model.parameterCount);
      const loss = model.gradient(samples, gradient);
      t.same(weightsOf(model), weights, `${name}: nothing moved`);
      t.ok(Number.isFinite(loss), name);
      // Along the gradient, where the slope is its length; kinks of relu and max make it inexact.
      const length = Math.hypot(...gradient);
      const step = 0.004 / length;
      const along = (sign: number): number => {
        const moved = weights.map((weight, at) => weight + sign * step * (gradient[at] ?? 0));
        model.write(moved);
        return model.gradient(samples, new Float32Array(model.parameterCount));
      };
      const slope = (along(1) - along(-1)) / (2 * step * length);
      t.ok(Math.abs(slope - length) < 0.03 * length, `${name}: ${slope} is near ${length}`);
      for (const { role, offset, size } of model.layout)
        if (role === "statistics")
          t.ok(gradient.subarray(offset, offset + size).every((each) => each === 0));
    }
    backend.dispose();
  });

  t.test("training lowers the loss, the same way each time", async (t) => {
    const backend = await make();
    for (const [name, spec] of models) {
      const model = backend.build(spec, random(name));
      const samples = samplesFor(spec, 12, random(`${name}/samples`));
      const begin = weightsOf(model);
      const once = model.train(samples, plan);
      const first = weightsOf(model);
      model.write(begin);
      t.same(model.train(samples, plan), once, `${name}: the same report`);
      t.same(weightsOf(model), first, `${name}: the same weights, bit for bit`);
      t.equal(once.steps, 3);
      const order = Int32Array.from({ length: 480 }, (_, at) => at % 12);
      const later = model.train(samples, { order, batchSize: 12, learningRate: 0.1 });
      t.ok(later.loss < once.loss, `${name}: ${later.loss} < ${once.loss}`);
    }
    backend.dispose();
  });

  t.test("a step is what the plan says", async (t) => {
    const backend = await make();
    const model = backend.build(flat, random("step"));
    const samples = samplesFor(flat, 6, random("step/samples"));
    const begin = weightsOf(model);
    const gradient = new Float32Array(model.parameterCount);
    model.gradient(samples, gradient);
    const length = Math.hypot(...gradient);
    const anchor = begin.map((weight) => weight / 2);
    const correction = begin.map((_, at) => 0.01 * Math.sin(at));
    const velocity = begin.map((_, at) => 0.1 * Math.cos(at));
    const cases: Readonly<
      Record<string, [Partial<TrainPlan>, (slope: number, at: number) => number]>
    > = {
      plain: [{}, (slope) => slope],
      "weight decay": [{ weightDecay: 0.1 }, (slope, at) => slope + 0.1 * (begin[at] ?? 0)],
      proximal: [
        { proximal: { mu: 0.3, anchor } },
        (slope, at) => slope + 0.3 * ((begin[at] ?? 0) - (anchor[at] ?? 0)),
      ],
      correction: [{ correction }, (slope, at) => slope + (correction[at] ?? 0)],
      clipping: [{ clippingNorm: length / 4 }, (slope) => slope / 4],
      "no clipping": [{ clippingNorm: length * 4 }, (slope) => slope],
      momentum: [
        { momentum: 0.9, velocity: velocity.slice() },
        (slope, at) => slope + 0.9 * (velocity[at] ?? 0),
      ],
      all: [
        {
          weightDecay: 0.1,
          proximal: { mu: 0.3, anchor },
          correction,
          clippingNorm: length / 4,
          momentum: 0.9,
          velocity: velocity.slice(),
        },
        (slope, at) =>
          slope / 4 +
          0.1 * (begin[at] ?? 0) +
          0.3 * ((begin[at] ?? 0) - (anchor[at] ?? 0)) +
          (correction[at] ?? 0) +
          0.9 * (velocity[at] ?? 0),
      ],
    };
    for (const [name, [extra, slopeOf]] of Object.entries(cases)) {
      model.write(begin);
      model.train(samples, { order: inOrder(6), batchSize: 6, learningRate: 0.5, ...extra });
      const found = weightsOf(model);
      const wanted = begin.map((weight, at) => weight - 0.5 * slopeOf(gradient[at] ?? 0, at));
      const worst = Math.max(...found.map((each, at) => Math.abs(each - (wanted[at] ?? 0))));
      t.ok(worst < 1e-5, `${name}: off by ${worst}`);
      if (extra.velocity === undefined) continue;
      const off = [...extra.velocity].map((each, at) =>
        Math.abs(each - slopeOf(gradient[at] ?? 0, at)),
      );
      t.ok(Math.max(...off) < 1e-5, `${name}: the velocity came back`);
    }
    backend.dispose();
  });

  t.test("a run in slices is the same as one run, bit for bit", async (t) => {
    const backend = await make();
    for (const [name, spec] of models) {
      const model = backend.build(spec, random(name));
      const samples = samplesFor(spec, 9, random(`${name}/samples`));
      const begin = weightsOf(model);
      const order = Int32Array.from({ length: 36 }, (_, at) => (at * 7) % 9);
      const settings = { batchSize: 4, learningRate: 0.05, momentum: 0.9, weightDecay: 0.001 };
      const velocity = new Float32Array(model.parameterCount);
      model.train(samples, { ...settings, order, velocity, dropout: { seed: 7 } });
      const whole = weightsOf(model);
      model.write(begin);
      const inSlices = new Float32Array(model.parameterCount);
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 9],
      ] as const)
        model.train(samples, {
          ...settings,
          order: order.slice(from * 4, to * 4),
          velocity: inSlices,
          dropout: { seed: 7, firstStep: from },
        });
      t.same(weightsOf(model), whole, name);
      t.same(inSlices, velocity, `${name}: and the velocity`);
    }
    backend.dispose();
  });

  t.test("evaluation is of the outputs", async (t) => {
    const backend = await make();
    for (const [name, spec] of models) {
      const model = backend.build(spec, random(name));
      const samples = samplesFor(spec, 301, random(`${name}/samples`));
      model.train(samples, { ...plan, batchSize: 12 });
      const weights = weightsOf(model);
      const outputs = model.predict(samples.features, samples.count);
      const { count, loss, accuracy } = model.evaluate(samples);
      t.same(weightsOf(model), weights, `${name}: nothing moved`);
      t.equal(count, 301);
      const wanted = lossAndAccuracy(spec, outputs, samples.targets, 301);
      t.ok(Math.abs(loss - wanted.loss) < 1e-4 * (1 + loss), `${name}: ${loss}, ${wanted.loss}`);
      t.equal(accuracy, wanted.accuracy, name);
      const last = samples.features.slice(-layOut(spec).inputSize);
      const alone = model.predict(last, 1);
      const off = alone.map((each, at) =>
        Math.abs(each - (outputs[outputs.length - alone.length + at] ?? 0)),
      );
      t.ok(Math.max(...off) < 1e-5, `${name}: a sample does not depend on its neighbours`);
    }
    backend.dispose();
  });

  t.test("what is not finite is refused, and the weights are as they came", async (t) => {
    const backend = await make();
    const model = backend.build(flat, random("finite"));
    const samples = samplesFor(flat, 8, random("finite/samples"));
    const begin = weightsOf(model);
    const bad = begin.slice();
    bad[9] = Number.NaN;
    t.throws(() => model.write(bad), code("training.not-finite", /0\/kernel/));
    bad[9] = Number.NEGATIVE_INFINITY;
    t.throws(() => model.write(bad), code("training.not-finite", /-Infinity/));
    t.same(weightsOf(model), begin);
    const steep = { order: inOrder(8), batchSize: 2, learningRate: 1e38 };
    t.throws(() => model.train(samples, steep), code("training.not-finite", /learning rate/));
    t.same(weightsOf(model), begin, "after a loss that is not finite");
    t.throws(
      () => model.train(samples, { ...steep, momentum: 0.9 }),
      code("training.not-finite", /learning rate/),
    );
    t.same(weightsOf(model), begin, "with momentum too");
    t.same(model.train(samples, { ...steep, learningRate: 0.1 }).steps, 4, "and it goes on");
    backend.dispose();
  });

  t.test("bad input is refused by name", async (t) => {
    const backend = await make();
    const model = backend.build(flat, random("bad"));
    const samples = samplesFor(flat, 8, random("bad/samples"));
    const begin = weightsOf(model);
    const refused = code("training.samples", /./);
    const all = { order: inOrder(8), batchSize: 4, learningRate: 0.1 };
    t.throws(() => model.read(new Float32Array(3)), code("training.samples", /into: .* not 3/));
    t.throws(() => model.write(new Float32Array(3)), code("training.samples", /not 3/));
    t.throws(
      () => model.evaluate({ ...samples, count: 0 }),
      code("training.samples", /no samples/),
    );
    t.throws(() => model.evaluate({ ...samples, count: 7 }), code("training.samples", /features/));
    t.throws(() => model.predict(samples.features, 9), code("training.samples", /features/));
    const targets = Int32Array.from(samples.targets);
    targets[5] = 3;
    t.throws(() => model.evaluate({ ...samples, targets }), code("training.samples", /sample 5/));
    t.throws(
      () => model.train(samples, { ...all, order: Int32Array.of(0, 8) }),
      code("training.samples", /no sample 8/),
    );
    t.throws(() => model.train(samples, { ...all, order: Int32Array.of(0, -1) }), refused);
    t.throws(() => model.train(samples, { ...all, batchSize: 0 }), refused);
    t.throws(
      () => model.train(samples, { ...all, learningRate: Number.NaN }),
      code("training.model", /learningRate/),
    );
    t.throws(
      () => model.train(samples, { ...all, momentum: 1 }),
      code("training.model", /momentum/),
    );
    t.throws(
      () => model.train(samples, { ...all, velocity: new Float32Array(1) }),
      code("training.samples", /velocity/),
    );
    t.same(weightsOf(model), begin, "and nothing happened");
    if (kinds.includes("embedding")) {
      const spec = modelsByName["embedding"] as ModelSpec;
      const embedding = backend.build(spec, random("bad/embedding"));
      const words = samplesFor(spec, 4, random("bad/words"));
      for (const word of [11, -1, 0.5, Number.NaN]) {
        const features = words.features.slice();
        features[15] = word;
        t.throws(
          () => embedding.evaluate({ ...words, features }),
          code("training.samples", /sample 2: .* vocabulary, 11/),
        );
      }
    }
    backend.dispose();
  });

  t.test("a model that can not be is refused by its layer", async (t) => {
    const backend = await make();
    const before = backend.bytes();
    const build = (spec: unknown) => () => backend.build(spec as ModelSpec, random("refused"));
    const dense = { kind: "dense", units: 3 };
    const cases: readonly [unknown, RegExp][] = [
      [{ ...flat, layers: [] }, /layers/],
      [{ ...flat, inputShape: [] }, /inputShape/],
      [{ ...flat, inputShape: [0] }, /inputShape/],
      [{ ...flat, layers: [dense, { kind: "dense", units: 0 }] }, /layer 1 \(dense\): units/],
      [{ ...flat, layers: [{ kind: "dense", units: 2 ** 40 }] }, /layer 0 \(dense\): units/],
      [{ ...flat, layers: [{ kind: "denser" }, dense] }, /layer 0 \(denser\)/],
      [{ ...flat, layers: [{ kind: "dropout", rate: 1 }, dense] }, /layer 0 \(dropout\): rate/],
      [{ ...flat, layers: [{ ...dense, activation: "gelu" }] }, /layer 0 \(dense\): activation/],
      [{ ...flat, layers: [{ ...dense, activation: "relu" }] }, /logits/],
      [{ ...flat, layers: [{ kind: "conv2d", filters: 1, kernelSize: 1 }] }, /\[5\]/],
      [{ ...flat, layers: [{ kind: "reshape", shape: [2, 3] }, dense] }, /layer 0 \(reshape\)/],
      [{ ...flat, loss: "hinge" }, /hinge/],
    ];
    for (const [spec, message] of cases) t.throws(build(spec), code("training.model", message));
    t.equal(backend.bytes(), before, "and holds nothing");
    backend.dispose();
  });

  t.test("what is disposed gives its memory back and is of no use", async (t) => {
    const backend = await make();
    const before = backend.bytes();
    const samples = samplesFor(flat, 8, random("disposed"));
    for (let round = 0; round < 3; round++) {
      const model = backend.build(flat, random("disposed"));
      model.train(samples, { ...plan, order: inOrder(8), momentum: 0.5, clippingNorm: 1 });
      model.evaluate(samples);
      t.ok(backend.bytes() > before);
      model.dispose();
      model.dispose();
      t.equal(backend.bytes(), before);
      t.throws(() => weightsOf(model), code("training.disposed", /disposed/));
      t.throws(() => model.evaluate(samples), code("training.disposed", /disposed/));
    }
    backend.dispose();
  });

  if (kinds.includes("dropout"))
    t.test("dropout draws as many as it says, by seed and step, in training alone", async (t) => {
      const backend = await make();
      const spec: ModelSpec = {
        inputShape: [1_000],
        layers: [
          { kind: "dropout", rate: 0.3 },
          { kind: "dense", units: 1 },
        ],
        loss: "mean-squared-error",
      };
      const model = backend.build(spec, random("dropout"));
      const zeros = new Float32Array(model.parameterCount);
      const samples = {
        count: 1,
        features: new Float32Array(1_000).fill(1),
        targets: Float32Array.of(-0.5),
      };
      // From weights of zero a step of rate one puts the mask, scaled, into the kernel.
      const mask = (dropout: TrainPlan["dropout"]) => {
        model.write(zeros);
        const order = inOrder(1);
        const once = { order, batchSize: 1, learningRate: 1 };
        model.train(samples, dropout === undefined ? once : { ...once, dropout });
        return weightsOf(model).slice(0, 1_000);
      };
      const first = mask(undefined);
      const dropped = first.filter((each) => each === 0).length;
      t.ok(dropped > 240 && dropped < 360, `${dropped} of 1000`);
      t.ok(first.every((each) => each === 0 || Math.abs(each + 1 / 0.7) < 1e-6));
      t.same(mask({ seed: 0, firstStep: 0 }), first);
      t.notSame(mask({ seed: 1 }), first);
      t.notSame(mask({ seed: 0, firstStep: 1 }), first);
      model.write(zeros.fill(1));
      t.ok(Math.abs((model.predict(samples.features, 1)[0] ?? 0) - 1_001) < 0.01);
      backend.dispose();
    });

  if (kinds.includes("batch-norm"))
    t.test("statistics follow what passes in training, and serve outside of it", async (t) => {
      const backend = await make();
      const spec: ModelSpec = {
        inputShape: [1],
        layers: [{ kind: "batch-norm", momentum: 0.75, epsilon: 1e-3 }],
        loss: "mean-squared-error",
      };
      const model = backend.build(spec, random("statistics"));
      const features = Float32Array.of(1, 3, 5, 7);
      const samples = { count: 4, features, targets: new Float32Array(4) };
      model.train(samples, { order: inOrder(4), batchSize: 4, learningRate: 0 });
      const [gamma, beta, mean, variance] = weightsOf(model);
      t.same([gamma, beta], [1, 0]);
      t.ok(Math.abs((mean ?? 0) - 1) < 1e-6, "a quarter of 4");
      t.ok(Math.abs((variance ?? 0) - 2) < 1e-6, "three quarters of 1 and a quarter of 5");
      const [output] = model.predict(Float32Array.of(2), 1);
      t.ok(Math.abs((output ?? 0) - 1 / Math.sqrt(2.001)) < 1e-5);
      backend.dispose();
    });
}

/** In float64, one value after the other. */
function lossAndAccuracy(
  { loss }: ModelSpec,
  outputs: Float32Array,
  targets: Int32Array | Float32Array,
  count: number,
): { loss: number; accuracy?: number } {
  const size = outputs.length / count;
  let sum = 0;
  let hits = 0;
  for (let row = 0; row < count; row++) {
    const own = [...outputs.subarray(row * size, (row + 1) * size)];
    if (loss === "softmax-cross-entropy") {
      const most = Math.max(...own);
      const total = own.reduce((total, each) => total + Math.exp(each - most), 0);
      const label = targets[row] ?? 0;
      sum += Math.log(total) + most - (own[label] ?? 0);
      if (own.indexOf(most) === label) hits++;
    } else
      for (const [at, output] of own.entries()) {
        const target = targets[row * size + at] ?? 0;
        const one =
          loss === "mean-squared-error"
            ? (output - target) ** 2
            : Math.log1p(Math.exp(-Math.abs(output))) + Math.max(output, 0) - output * target;
        sum += one / size;
      }
  }
  return loss === "softmax-cross-entropy"
    ? { loss: sum / count, accuracy: hits / count }
    : { loss: sum / count };
}
