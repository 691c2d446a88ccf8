/**
 * TensorFlow's own library by `@tensorflow/tfjs-node`, as its users train: the optimizer's `minimize` on batches that
 * already are tensors. It is loaded from the directory that `TFJS_NODE` names (docs/learning-native.md). Reads the name
 * of a model and a number of steps, a line each time; answers with samples per second of processor time.
 */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Scalar } from "@tensorflow/tfjs-core";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { kerasModel } from "../../src/platform/tensorflow/keras-layers.ts";
import type { TensorFlow } from "../../src/platform/tensorflow/library.ts";
import { openTensorFlowNode } from "../../src/platform/tensorflow/open-node.ts";
import { layOut } from "../../src/platform/training-layout.ts";
import { samplesFor } from "../../test/support/training/models.ts";
import { benchModels } from "../support/training-models.ts";

const BATCH = 32;
const BATCHES = 8;

const from = process.env["TFJS_NODE"] ?? process.cwd();
openTensorFlowNode(from);
const tf = createRequire(resolve(from, "package.json"))("@tensorflow/tfjs-node") as TensorFlow;
const trainers = new Map<string, (steps: number) => number>();
for await (const line of createInterface({ input: process.stdin })) {
  const [name = "", steps = "1"] = line.split(" ");
  const train = trainers.get(name) ?? trainerOf(name);
  trainers.set(name, train);
  console.log(train(Number(steps)));
}

function trainerOf(name: string): (steps: number) => number {
  const spec = benchModels[name];
  if (spec === undefined) throw new Error(`there is no model ${name}`);
  const layout = layOut(spec);
  const model = kerasModel(tf, layout, spec.inputShape, { isOn: false, seed: 0, step: 0 });
  const optimizer = tf.train.sgd(0.01);
  const batches = Array.from({ length: BATCHES }, (_, at) => {
    const { features, targets } = samplesFor(spec, BATCH, new SeededRandom(`bench/${at}`));
    const x = tf.tensor(features, [BATCH, ...spec.inputShape]);
    const y = tf.cast(tf.oneHot(tf.tensor1d(targets, "int32"), layout.outputSize), "float32");
    return { x, y };
  });
  return (steps) => {
    const before = process.cpuUsage();
    for (let step = 0; step < steps; step++)
      tf.tidy(() => {
        const { x, y } = batches[step % BATCHES] ?? {};
        if (x === undefined || y === undefined) return;
        const loss = () => {
          const outputs = model.apply(x, { training: true }) as typeof y;
          return tf.losses.softmaxCrossEntropy<typeof y, Scalar>(y, outputs);
        };
        optimizer.minimize(loss, true)?.dataSync();
      });
    const { user, system } = process.cpuUsage(before);
    return (1e6 * BATCH * steps) / (user + system);
  };
}
