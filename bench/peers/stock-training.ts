/**
 * TensorFlow.js as it comes: its WebAssembly backend, or plain JavaScript for a model that this can not train. Reads
 * the name of a model and a number of steps, a line each time; answers with samples per second of processor time.
 */
import { createInterface } from "node:readline";
import * as core from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { layers, sequential } from "@tensorflow/tfjs-layers";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { TensorFlowBackend } from "../../src/platform/tensorflow/tensorflow-backend.ts";
import { benchModels, samplesPerCpuSecond } from "../support/training-models.ts";

const ground = process.argv[2] ?? "wasm";
const tf = { ...core, layers, sequential };
await core.setBackend(ground);
const backend = new TensorFlowBackend(tf, ground, ground);
for await (const line of createInterface({ input: process.stdin })) {
  const [name = "", steps = "1"] = line.split(" ");
  const spec = benchModels[name];
  if (spec === undefined) throw new Error(`there is no model ${name}`);
  const model = backend.build(spec, new SeededRandom(name));
  try {
    console.log(samplesPerCpuSecond(model, Number(steps)));
  } catch (error) {
    console.log(error instanceof Error ? error.message : String(error));
  }
  model.dispose();
}
