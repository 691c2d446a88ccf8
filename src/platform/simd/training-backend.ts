import type { Random } from "../random.ts";
import {
  type ModelSpec,
  type TrainableModel,
  type TrainingBackend,
  TrainingError,
} from "../training-backend.ts";
import { initialWeights } from "../training-initial-weights.ts";
import type { Address, TrainingKernels } from "../training-kernels.ts";
import { layOut } from "../training-layout.ts";
import { TrainingArena } from "./training-arena.ts";
import { TrainingGraph } from "./training-graph.ts";
import { bindTrainingKernels } from "./training-kernels.ts";
import { SimdModel } from "./training-model.ts";

/** Room for models and their work unless told otherwise; it is taken as it is needed. */
const MEMORY_BYTES_MAX = 256 * 2 ** 20;

/**
 * Training without a library: a model becomes a fixed list of calls to our own vector kernels over one WebAssembly memory.
 * The same weights, samples and plan give the same bits on every machine whose vector unit fuses multiply and add, which
 * x86-64 since 2013 and all of arm64 do.
 */
export class SimdTrainingBackend implements TrainingBackend {
  readonly name = "simd";
  readonly #arena: TrainingArena;
  readonly #kernels: TrainingKernels;
  readonly #scratch: Address;
  readonly #models = new Set<SimdModel>();
  #disposed = false;

  /** @throws TrainingError `training.backend` without vector instructions, `training.memory` for a bound that is none */
  constructor(options: { readonly memoryBytesMax?: number } = {}) {
    this.#arena = new TrainingArena(options.memoryBytesMax ?? MEMORY_BYTES_MAX);
    this.#kernels = bindTrainingKernels(this.#arena.memory);
    this.#scratch = this.#arena.take(this.#kernels.matmulScratchBytes(), "scratch");
  }

  build(spec: ModelSpec, random: Random): TrainableModel {
    if (this.#disposed) throw new TrainingError("training.disposed", "the backend was disposed");
    const layout = layOut(spec);
    const arena = this.#arena;
    const graph = new TrainingGraph(layout, spec.loss, arena, this.#kernels, this.#scratch);
    const model = new SimdModel(spec, graph, arena, this.#kernels, () => {
      this.#models.delete(model);
    });
    this.#models.add(model);
    model.write(initialWeights(layout, random));
    return model;
  }

  bytes(): number {
    return this.#arena.bytes;
  }

  dispose(): void {
    for (const model of this.#models) model.dispose();
    this.#arena.give(this.#scratch);
    this.#disposed = true;
  }
}
