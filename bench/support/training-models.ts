import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { ModelSpec, TrainableModel } from "../../src/platform/training-backend.ts";
import { samplesFor } from "../../test/support/training/models.ts";

/** What is trained, by name; batches of 32. */
export const benchModels: Readonly<Record<string, ModelSpec>> = {
  mlp: {
    inputShape: [784],
    layers: [
      { kind: "dense", units: 200, activation: "relu" },
      { kind: "dense", units: 200, activation: "relu" },
      { kind: "dense", units: 10 },
    ],
    loss: "softmax-cross-entropy",
  },
  cnn: {
    inputShape: [28, 28, 1],
    layers: [
      { kind: "conv2d", filters: 16, kernelSize: 3, activation: "relu" },
      { kind: "max-pool", size: 2 },
      { kind: "conv2d", filters: 32, kernelSize: 3, activation: "relu" },
      { kind: "max-pool", size: 2 },
      { kind: "flatten" },
      { kind: "dense", units: 64, activation: "relu" },
      { kind: "dense", units: 10 },
    ],
    loss: "softmax-cross-entropy",
  },
  conv1d: {
    inputShape: [128, 6],
    layers: [
      { kind: "conv1d", filters: 32, kernelSize: 5, activation: "relu" },
      { kind: "max-pool", size: 2 },
      { kind: "conv1d", filters: 64, kernelSize: 5, activation: "relu" },
      { kind: "global-average-pool" },
      { kind: "dense", units: 6 },
    ],
    loss: "softmax-cross-entropy",
  },
  lstm: {
    inputShape: [128, 6],
    layers: [
      { kind: "lstm", units: 64 },
      { kind: "dense", units: 6 },
    ],
    loss: "softmax-cross-entropy",
  },
};

const BATCH = 32;

/** Takes so many steps. @returns samples per second of this process' processor time */
export function samplesPerCpuSecond(model: TrainableModel, steps: number): number {
  const samples = samplesFor(model.spec, BATCH * 8, new SeededRandom("bench"));
  const order = Int32Array.from({ length: BATCH * steps }, (_, at) => at % samples.count);
  const from = process.cpuUsage();
  model.train(samples, { order, batchSize: BATCH, learningRate: 0.01 });
  const { user, system } = process.cpuUsage(from);
  return (1e6 * order.length) / (user + system);
}
