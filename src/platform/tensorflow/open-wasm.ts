import { TrainingError } from "../training-backend.ts";
import type { BindTrainingKernels } from "../training-kernels.ts";
import type { TensorFlow } from "./library.ts";
import { TensorFlowBackend } from "./tensorflow-backend.ts";
import { registerKernels } from "./wasm-kernels.ts";
import { TENSORFLOW_VERSION, WasmMemory } from "./wasm-memory.ts";

let opened: Promise<TensorFlow> | undefined;

/**
 * TensorFlow.js on its WebAssembly backend with our kernels in it. The library lives once in a process, and so does what is
 * done to it.
 * @throws TrainingError `training.backend` when the library can not be loaded, or is not as expected
 */
export async function openTensorFlowWasm(options: {
  readonly bindKernels: BindTrainingKernels;
  /** The directory of the library's `.wasm` files, with a slash at its end; beside the library unless given. */
  readonly wasmDirectory?: string;
}): Promise<TensorFlowBackend> {
  opened ??= open(options).catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  return new TensorFlowBackend(await opened, "tensorflow-wasm", "wasm");
}

async function open({
  bindKernels,
  wasmDirectory,
}: Parameters<typeof openTensorFlowWasm>[0]): Promise<TensorFlow> {
  const core = await import("@tensorflow/tfjs-core");
  const { layers, sequential } = await import("@tensorflow/tfjs-layers");
  const { setWasmPaths, version_wasm } = await import("@tensorflow/tfjs-backend-wasm");
  const tf: TensorFlow = { ...core, layers, sequential };
  for (const version of [tf.version_core, version_wasm])
    if (version !== TENSORFLOW_VERSION)
      throw new TrainingError(
        "training.backend",
        `TensorFlow.js ${version} is not ${TENSORFLOW_VERSION}, which this was written for`,
      );
  // One thread: more of them made training slower, and their memory could not be lent.
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  if (wasmDirectory !== undefined) setWasmPaths(wasmDirectory);
  if (!(await tf.setBackend("wasm")))
    throw new TrainingError(
      "training.backend",
      "TensorFlow.js can not start its WebAssembly backend; its .wasm files may be missing",
    );
  const memory = new WasmMemory(tf);
  registerKernels(tf, memory, bindKernels(memory.memory));
  return tf;
}
