import type { TensorInfo } from "@tensorflow/tfjs-core";
import { TrainingError } from "../training-backend.ts";
import type { Address } from "../training-kernels.ts";
import type { TensorFlow } from "./library.ts";

/** The release whose inside is known: its memory is nothing that the library promises. */
export const TENSORFLOW_VERSION = "4.22.0";

/** What is used of the inside of TensorFlow.js' WebAssembly backend. */
export interface WasmInside {
  readonly wasm: {
    readonly asm: { readonly memory: { readonly buffer: ArrayBuffer } };
    readonly _malloc: (bytes: number) => number;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: readonly number[], dtype: "float32"): TensorInfo;
}

/** The backend's memory, where tensors are, and room of our own in it. */
export class WasmMemory {
  readonly inside: WasmInside;
  readonly #malloc: WasmInside["wasm"]["_malloc"];

  /** @throws TrainingError `training.backend` when the library is not as this was written for */
  constructor(tf: TensorFlow) {
    const inside = tf.backend() as unknown as WasmInside;
    const buffer: unknown = inside.wasm?.asm?.memory?.buffer;
    const { _malloc: malloc } = inside.wasm;
    if (!(buffer instanceof ArrayBuffer) || typeof malloc !== "function")
      throw unexpected(tf, "its memory is not where it was");
    this.inside = inside;
    this.#malloc = malloc;
    const tensor = tf.tensor1d([3, 1, 4, 1, 5]);
    const at = inside.dataIdMap.get(tensor.dataId)?.memoryOffset;
    const found = typeof at === "number" ? [...new Float32Array(buffer, at, 5)] : [];
    tensor.dispose();
    if (found.join() !== "3,1,4,1,5") throw unexpected(tf, "tensors are not where they were");
  }

  get memory(): object {
    return this.inside.wasm.asm.memory;
  }

  addressOf(tensor: TensorInfo): Address {
    return this.inside.dataIdMap.get(tensor.dataId).memoryOffset;
  }

  /** A new tensor of whatever was in its place before. */
  make(shape: readonly number[]): TensorInfo {
    return this.inside.makeOutput([...shape], "float32");
  }

  floats(tensor: TensorInfo): Float32Array {
    const size = tensor.shape.reduce((product, each) => product * each, 1);
    return new Float32Array(this.inside.wasm.asm.memory.buffer, this.addressOf(tensor), size);
  }

  integers(tensor: TensorInfo): Int32Array {
    const size = tensor.shape.reduce((product, each) => product * each, 1);
    return new Int32Array(this.inside.wasm.asm.memory.buffer, this.addressOf(tensor), size);
  }

  writeIntegers(at: Address, values: readonly number[]): void {
    new Int32Array(this.inside.wasm.asm.memory.buffer, at, values.length).set(values);
  }

  /** For as long as the process lives. */
  take(bytes: number): Address {
    return this.#malloc(bytes) >>> 0;
  }
}

function unexpected(tf: TensorFlow, what: string): TrainingError {
  return new TrainingError(
    "training.backend",
    `TensorFlow.js ${tf.version_core} is not as expected: ${what}; install @tensorflow/tfjs-* ${TENSORFLOW_VERSION}`,
  );
}
