import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import { bindTrainingKernels } from "../../src/platform/simd/training-kernels.ts";
import { openTensorFlowWasm } from "../../src/platform/tensorflow/open-wasm.ts";
import type { TensorFlowBackend } from "../../src/platform/tensorflow/tensorflow-backend.ts";
import type {
  ModelSpec,
  TrainableModel,
  TrainingBackend,
} from "../../src/platform/training-backend.ts";
import { tensorFlowCpu } from "../support/tensorflow-cpu.ts";
import { kindsOf, modelsByName, samplesFor } from "../support/training/models.ts";

/**
 * Of the largest value of a tensor's gradient; of a model's where there is a batch normalization, before which terms as
 * large as the others cancel each other out: a bias there has no gradient but rounding.
 */
const RELATIVE = 1e-5;

interface Outcome {
  readonly layout: TrainableModel["layout"];
  readonly gradient: Float32Array;
  readonly loss: number;
  readonly trained: Float32Array;
  readonly outputs: Float32Array;
}

/** Weights away from their first values, a gradient, and a few steps with all that a plan may have. */
function outcome(backend: TrainingBackend, name: string, spec: ModelSpec): Outcome {
  const model = backend.build(spec, new SeededRandom(name));
  const weights = new Float32Array(model.parameterCount);
  model.read(weights);
  const draws = new SeededRandom(`${name}/weights`);
  for (const [at, weight] of weights.entries()) weights[at] = weight + 0.2 * draws.next();
  model.write(weights);
  const samples = samplesFor(spec, 7, new SeededRandom(`${name}/samples`));
  const gradient = new Float32Array(model.parameterCount);
  const loss = model.gradient(samples, gradient);
  model.train(samples, {
    order: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 6, 4, 2, 0),
    batchSize: 4,
    learningRate: 0.1,
    momentum: 0.5,
    weightDecay: 0.01,
    clippingNorm: 0.5,
    dropout: { seed: 4, firstStep: 2 },
  });
  const trained = new Float32Array(model.parameterCount);
  model.read(trained);
  const outputs = model.predict(samples.features, 7);
  const { layout } = model;
  model.dispose();
  return { layout, gradient, loss, trained, outputs };
}

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const furthest = (left: Float32Array, right: Float32Array): number =>
  largest(left.map((value, at) => value - (right[at] ?? Number.NaN)));

const reference: TensorFlowBackend = await tensorFlowCpu();
const backends: readonly TrainingBackend[] = [
  new SimdTrainingBackend(),
  await openTensorFlowWasm({ bindKernels: bindTrainingKernels }),
];

for (const [name, spec] of Object.entries(modelsByName))
  t.test(`${name}: as TensorFlow.js in plain JavaScript`, async (t) => {
    const wanted = outcome(reference, name, spec);
    const normalizes = kindsOf(spec).includes("batch-norm");
    for (const backend of backends) {
      const found = outcome(backend, name, spec);
      const off = Math.abs(found.loss - wanted.loss) / wanted.loss;
      t.ok(off < RELATIVE, `${backend.name}: loss off by ${off}`);
      const whole = largest(wanted.gradient);
      for (const { name: parameter, offset, size } of wanted.layout) {
        const [ours, theirs] = [found, wanted].map(({ gradient }) =>
          gradient.subarray(offset, offset + size),
        ) as [Float32Array, Float32Array];
        const scale = normalizes ? whole : largest(theirs);
        const error = furthest(ours, theirs) / scale;
        t.ok(error <= RELATIVE, `${backend.name}: gradient by ${parameter} off by ${error}`);
      }
      const moved = furthest(found.trained, wanted.trained);
      t.ok(moved < RELATIVE, `${backend.name}: trained weights off by ${moved}`);
      const said = furthest(found.outputs, wanted.outputs) / largest(wanted.outputs);
      t.ok(said < 10 * RELATIVE, `${backend.name}: outputs off by ${said}`);
    }
  });

t.test("nothing is left in the library", async (t) => {
  t.equal(reference.bytes(), 0);
});
