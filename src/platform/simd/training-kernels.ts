import { TrainingError } from "../training-backend.ts";
import type { TrainingKernels } from "../training-kernels.ts";
import { trainingModule } from "./training-module.ts";
import { webAssembly } from "./webassembly.ts";

let compiled: object | undefined;

/**
 * Kernels over `memory`, of which they keep nothing to themselves.
 * @param memory a WebAssembly memory that is not shared
 * @throws TrainingError `training.backend` where this machine has no vector instructions for WebAssembly
 */
export function bindTrainingKernels(memory: object): TrainingKernels {
  try {
    compiled ??= new webAssembly.Module(Buffer.from(trainingModule, "base64"));
    const { exports } = new webAssembly.Instance(compiled, { env: { memory } });
    return exports as TrainingKernels;
  } catch (error) {
    throw new TrainingError(
      "training.backend",
      "the training kernels need WebAssembly with relaxed SIMD (Node.js 22 or later on x86-64 or arm64)",
      { cause: error },
    );
  }
}
