import { TensorFlowBackend } from "../../src/platform/tensorflow/tensorflow-backend.ts";

/** TensorFlow.js in plain JavaScript: what gradients are compared with. */
export async function tensorFlowCpu(): Promise<TensorFlowBackend> {
  const core = await import("@tensorflow/tfjs-core");
  const { layers, sequential } = await import("@tensorflow/tfjs-layers");
  await import("@tensorflow/tfjs-backend-cpu");
  await core.setBackend("cpu");
  return new TensorFlowBackend({ ...core, layers, sequential }, "tensorflow-cpu", "cpu");
}
