import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import { bindTrainingKernels } from "../../src/platform/simd/training-kernels.ts";
import { openTensorFlowNode } from "../../src/platform/tensorflow/open-node.ts";
import { openTensorFlowWasm } from "../../src/platform/tensorflow/open-wasm.ts";
import type { ModelSpec, TrainingBackend } from "../../src/platform/training-backend.ts";
import { PlainTrainingBackend } from "../../src/simulator/plain-training-backend.ts";
import { kindsOf, modelsByName, samplesFor } from "../support/training/models.ts";
import { trainingBackendConformance } from "./training-backend.ts";

const everything = [...new Set(Object.values(modelsByName).flatMap(kindsOf))];

t.test("TrainingBackend: simd", async (t) => {
  trainingBackendConformance(t, () => new SimdTrainingBackend(), { kinds: everything });
});

t.test("TrainingBackend: tensorflow-wasm", async (t) => {
  const make = () => openTensorFlowWasm({ bindKernels: bindTrainingKernels });
  trainingBackendConformance(t, make, { kinds: everything });
});

/** Where `@tensorflow/tfjs-node` is installed with TensorFlow's library: see docs/learning-native.md. */
const native = process.env["TFJS_NODE"];

if (native === undefined)
  t.comment("tensorflow-node is left out: TFJS_NODE names no directory that has it");
else
  t.test("TrainingBackend: tensorflow-node", async (t) => {
    trainingBackendConformance(t, () => openTensorFlowNode(native), { kinds: everything });

    t.test("it opens, and trains, after another backend of the library was opened", async (t) => {
      const spec = modelsByName["embedding"] as ModelSpec;
      const samples = samplesFor(spec, 8, new SeededRandom("both/samples"));
      const order = Int32Array.of(0, 1, 2, 3);
      const train = (backend: TrainingBackend) => {
        const model = backend.build(spec, new SeededRandom("both"));
        model.train(samples, { order, batchSize: 2, learningRate: 0.1 });
        const weights = new Float32Array(model.parameterCount);
        model.read(weights);
        backend.dispose();
        return weights;
      };
      const first = train(openTensorFlowNode(native));
      const wasm = train(await openTensorFlowWasm({ bindKernels: bindTrainingKernels }));
      t.same(train(openTensorFlowNode(native)), first);
      const off = wasm.map((each, at) => Math.abs(each - (first[at] ?? 0)));
      t.ok(Math.max(...off) < 1e-4, "and WebAssembly comes to the same");
    });
  });

t.test("TrainingBackend: plain", async (t) => {
  trainingBackendConformance(t, () => new PlainTrainingBackend(), {
    kinds: ["dense", "flatten", "reshape", "dropout", "batch-norm"],
    without: ["dense softmax"],
  });
});
