import type { LayersModel } from "@tensorflow/tfjs-layers";
import type { Random } from "../random.ts";
import {
  type Loss,
  type ModelSpec,
  type ParameterInfo,
  type TrainableModel,
  type TrainingBackend,
  TrainingError,
} from "../training-backend.ts";
import { initialWeights } from "../training-initial-weights.ts";
import { layOut, type ModelLayout, sizeOf } from "../training-layout.ts";
import { kerasModel } from "./keras-layers.ts";
import type { TensorFlow } from "./library.ts";
import { TensorFlowModel } from "./tensorflow-model.ts";

/**
 * Training by TensorFlow.js on one of its own backends, which has to be ready. It is for models that come as
 * `tf.LayersModel`, and to compare with; for models of ours the compiled backend is several times faster.
 */
export class TensorFlowBackend implements TrainingBackend {
  readonly name: string;
  readonly #tf: TensorFlow;
  readonly #ground: string;
  readonly #models = new Set<TensorFlowModel>();
  #disposed = false;

  /** @param ground the name that the library has for its own backend: `wasm`, `cpu`, `tensorflow` */
  constructor(tf: TensorFlow, name: string, ground: string) {
    this.#tf = tf;
    this.name = name;
    this.#ground = ground;
  }

  build(spec: ModelSpec, random: Random): TrainableModel {
    this.#checkAlive();
    const layout = layOut(spec);
    const dropout = { isOn: false, seed: 0, step: 0 };
    const model = this.#run(() => kerasModel(this.#tf, layout, spec.inputShape, dropout));
    const made = this.#keep({ spec, layout, model, dropout });
    made.write(initialWeights(layout, random));
    return made;
  }

  /**
   * A model that somebody brings, weights and all; it is the backend's from then on. Its spec has no layers.
   * @throws TrainingError `training.model` for several inputs or outputs, or axes that are not known
   */
  wrap(model: LayersModel, loss: Loss): TrainableModel {
    this.#checkAlive();
    if (model.inputs.length !== 1 || model.outputs.length !== 1)
      throw new TrainingError("training.model", "a model has one input and one output");
    const inputShape = known(model.inputs[0]?.shape, "input");
    const outputShape = known(model.outputs[0]?.shape, "output");
    if (loss === "softmax-cross-entropy" && outputShape.length !== 1)
      throw new TrainingError("training.model", `loss ${loss}: the output has to have one axis`);
    let offset = 0;
    const parameters = model.layers.flatMap((layer, index) =>
      layer.weights.map((weight): ParameterInfo => {
        const shape = weight.shape.map(Number);
        const name = `${index}/${weight.originalName.split("/").at(-1) ?? ""}`;
        const size = sizeOf(shape);
        const info = { name, layer: index, shape, offset, size };
        offset += size;
        return { ...info, role: roleOf(weight.trainable && layer.trainable, shape.length, name) };
      }),
    );
    const layout: ModelLayout = {
      layers: [],
      parameters,
      parameterCount: offset,
      inputSize: sizeOf(inputShape),
      outputShape,
      outputSize: sizeOf(outputShape),
    };
    const spec = { inputShape, layers: [], loss };
    return this.#keep({ spec, layout, model, dropout: { isOn: false, seed: 0, step: 0 } });
  }

  /** What tensors hold, those of others who use the library in this process included. */
  bytes(): number {
    return this.#tf.memory().numBytes;
  }

  dispose(): void {
    for (const model of this.#models) model.dispose();
    this.#disposed = true;
  }

  #keep(parts: ConstructorParameters<typeof TensorFlowModel>[1]): TensorFlowModel {
    const run = <T>(work: () => T): T => this.#run(work);
    const model = new TensorFlowModel(this.#tf, parts, run, () => {
      this.#models.delete(model);
    });
    this.#models.add(model);
    return model;
  }

  /** On our ground, which another backend in this process may have left. */
  #run<T>(work: () => T): T {
    const tf = this.#tf;
    // Of a backend that is ready, this is done when the call returns.
    if (tf.getBackend() !== this.#ground) void tf.setBackend(this.#ground);
    try {
      return work();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      const missing = /[Kk]ernel '(\w+)' not registered/.exec(what)?.[1];
      if (missing === undefined) throw error;
      throw new TrainingError(
        "training.backend",
        `TensorFlow.js has no ${missing} on its ${this.#ground} backend, so this model can not be trained there`,
        { cause: error },
      );
    }
  }

  #checkAlive(): void {
    if (this.#disposed) throw new TrainingError("training.disposed", "the backend was disposed");
  }
}

function roleOf(isTrained: boolean, axes: number, name: string): ParameterInfo["role"] {
  if (!isTrained) return "statistics";
  if (/\/(gamma|beta)$/.test(name)) return "normalization";
  return axes === 1 ? "bias" : "weight";
}

function known(shape: readonly (number | null)[] | undefined, what: string): readonly number[] {
  const [, ...axes] = shape ?? [];
  if (axes.length === 0 || axes.some((size) => size === null))
    throw new TrainingError("training.model", `the model's ${what} needs axes of known sizes`);
  return axes.map(Number);
}
