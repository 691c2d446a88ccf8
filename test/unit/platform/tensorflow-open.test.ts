import { relative } from "node:path";
import t from "tap";
import { bindTrainingKernels } from "../../../src/platform/simd/training-kernels.ts";
import { openTensorFlowNode } from "../../../src/platform/tensorflow/open-node.ts";
import { openTensorFlowWasm } from "../../../src/platform/tensorflow/open-wasm.ts";
import { WasmMemory } from "../../../src/platform/tensorflow/wasm-memory.ts";

t.test("without tfjs-node, the error says how to install it", async (t) => {
  t.throws(() => openTensorFlowNode(t.testdir()), {
    code: "training.backend",
    message: /docs\/learning-native\.md .*npm install @tensorflow\/tfjs-node@4\.22\.0/,
  });
});

t.test("a tfjs-node without TensorFlow's library is refused", async (t) => {
  const directory = t.testdir({
    node_modules: {
      "@tensorflow": {
        "tfjs-node": {
          "index.js": "exports.getBackend = () => 'cpu'; exports.findBackend = () => null;",
        },
      },
    },
  });
  t.throws(() => openTensorFlowNode(directory), {
    code: "training.backend",
    message: /runs on cpu/,
  });
  t.throws(() => openTensorFlowNode(relative(process.cwd(), directory)), {
    message: /runs on cpu/,
  });
});

t.test("a library that is not as expected inside is refused by its version", async (t) => {
  const tf = await import("@tensorflow/tfjs-core");
  const backend = await openTensorFlowWasm({ bindKernels: bindTrainingKernels });
  const inside: object = Object.assign({}, tf.backend());
  const moved = (parts: object) =>
    ({ ...tf, version_core: "4.23.0", backend: () => ({ ...inside, ...parts }) }) as never;
  const message = /4\.23\.0 is not as expected.* 4\.22\.0/;
  t.throws(() => new WasmMemory(moved({ wasm: {} })), { code: "training.backend", message });
  const dataIdMap = { get: () => ({ memoryOffset: 0 }) };
  t.throws(() => new WasmMemory(moved({ dataIdMap })), { code: "training.backend", message });
  backend.dispose();
});

t.test("a model that somebody brings is trained", async (t) => {
  const backend = await openTensorFlowWasm({ bindKernels: bindTrainingKernels });
  const { layers, model: modelOf } = await import("@tensorflow/tfjs-layers");
  const input = layers.input({ shape: [8, 8, 1] });
  const convolved = layers.conv2d({ filters: 4, kernelSize: 3, activation: "elu" }).apply(input);
  const flat = layers.flatten().apply(convolved);
  const outputs = layers.dense({ units: 2 }).apply(flat) as never;
  const model = backend.wrap(modelOf({ inputs: input, outputs }), "softmax-cross-entropy");
  t.same(
    model.layout.map(({ role }) => role),
    ["weight", "bias", "weight", "bias"],
  );
  const features = Float32Array.from({ length: 640 }, (_, at) => Math.sin(at * at));
  const targets = Int32Array.from({ length: 10 }, (_, at) => at % 2);
  const samples = { count: 10, features, targets };
  const before = model.evaluate(samples).loss;
  const order = Int32Array.from({ length: 300 }, (_, at) => at % 10);
  model.train(samples, { order, batchSize: 10, learningRate: 0.1 });
  t.ok(model.evaluate(samples).loss < before / 2);
  backend.dispose();
});

t.test("an operation that is missing is named", async (t) => {
  const backend = await openTensorFlowWasm({ bindKernels: bindTrainingKernels });
  const { layers, sequential } = await import("@tensorflow/tfjs-layers");
  const model = sequential();
  model.add(layers.conv2d({ filters: 2, kernelSize: 3, dilationRate: 2, inputShape: [9, 9, 1] }));
  model.add(layers.flatten());
  model.add(layers.dense({ units: 2 }));
  const wrapped = backend.wrap(model, "softmax-cross-entropy");
  const samples = { count: 1, features: new Float32Array(81).fill(1), targets: Int32Array.of(1) };
  t.throws(
    () => wrapped.train(samples, { order: Int32Array.of(0), batchSize: 1, learningRate: 0.1 }),
    { message: /dilation/i },
  );
  backend.dispose();
});
