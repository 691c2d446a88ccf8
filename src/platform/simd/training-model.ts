import {
  type Evaluation,
  type ModelSpec,
  type ParameterInfo,
  type Samples,
  type TrainableModel,
  TrainingError,
  type TrainPlan,
  type TrainReport,
} from "../training-backend.ts";
import {
  checkFeatures,
  checkFinite,
  checkLength,
  checkPlan,
  checkSamples,
} from "../training-checks.ts";
import type { Address, TrainingKernels } from "../training-kernels.ts";
import type { TrainingArena } from "./training-arena.ts";
import type { Passage, TrainingGraph } from "./training-graph.ts";
import { TrainingStep } from "./training-step.ts";

/** A model whose passes are a fixed list of kernel calls. */
export class SimdModel implements TrainableModel {
  readonly spec: ModelSpec;
  readonly #graph: TrainingGraph;
  readonly #arena: TrainingArena;
  readonly #kernels: TrainingKernels;
  readonly #onDispose: () => void;
  /** Gradients, and the weights before training: there once they were needed. */
  #gradient: Address = 0;
  #backup: Address = 0;
  readonly #step: TrainingStep;
  #disposed = false;

  constructor(
    spec: ModelSpec,
    graph: TrainingGraph,
    arena: TrainingArena,
    kernels: TrainingKernels,
    onDispose: () => void,
  ) {
    this.spec = spec;
    this.#graph = graph;
    this.#arena = arena;
    this.#kernels = kernels;
    this.#onDispose = onDispose;
    this.#step = new TrainingStep(graph.layout, graph.weights, arena, kernels);
  }

  get layout(): readonly ParameterInfo[] {
    return this.#graph.layout.parameters;
  }

  get parameterCount(): number {
    return this.#graph.layout.parameterCount;
  }

  read(into: Float32Array): void {
    this.#checkAlive();
    checkLength("into", into, this.parameterCount);
    into.set(this.#parametersAt(this.#graph.weights));
  }

  write(from: Float32Array): void {
    this.#checkAlive();
    checkLength("from", from, this.parameterCount);
    checkFinite("weights", from, this.#graph.layout);
    this.#parametersAt(this.#graph.weights).set(from);
  }

  gradient(samples: Samples, into: Float32Array): number {
    this.#checkAlive();
    checkLength("into", into, this.parameterCount);
    checkSamples(this.spec, this.#graph.layout, samples);
    const { count } = samples;
    const part = this.#graph.partOf(count, "gradient");
    this.#graph.reserve(part);
    this.#gradient ||= this.#takeParameters("gradients");
    this.#parametersAt(this.#gradient).fill(0);
    const sums = { lossSum: 0, hits: 0 };
    const target = { at: this.#gradient, factor: 1, accumulate: true };
    for (let from = 0; from < count; from += part) {
      const some = Math.min(part, count - from);
      const pass = { mode: "gradient", samples: some, before: from, step: 0, seed: 0 } as const;
      this.#graph.load(samples, undefined, from, some);
      this.#graph.forward(pass);
      this.#graph.loss(some, count, sums);
      this.#graph.backward(pass, target);
    }
    into.set(this.#parametersAt(this.#gradient));
    return sums.lossSum / count;
  }

  train(samples: Samples, plan: TrainPlan): TrainReport {
    this.#checkAlive();
    const { layout, weights } = this.#graph;
    checkPlan(plan, this.parameterCount);
    checkSamples(this.spec, layout, samples, plan.order);
    const { order, dropout } = plan;
    const batchSize = Math.min(plan.batchSize, order.length);
    const part = this.#graph.partOf(batchSize, "train");
    this.#graph.reserve(part);
    this.#backup ||= this.#takeParameters("the weights before training");
    const inPlace = this.#step.begin(plan) && part === batchSize;
    if (!inPlace) this.#gradient ||= this.#takeParameters("gradients");
    this.#parametersAt(this.#backup).set(this.#parametersAt(weights));
    const steps = Math.ceil(order.length / batchSize);
    const target = inPlace
      ? { at: weights, factor: -plan.learningRate, accumulate: true }
      : { at: this.#gradient, factor: 1, accumulate: false };
    const pass = {
      mode: "train" as const,
      samples: 0,
      before: 0,
      step: dropout?.firstStep ?? 0,
      seed: dropout?.seed ?? 0,
    };
    const sums: Passage = { lossSum: 0, hits: 0 };
    let loss = 0;
    for (let step = 0; step < steps; step++) {
      const from = step * batchSize;
      const batch = Math.min(batchSize, order.length - from);
      sums.lossSum = 0;
      for (pass.before = 0; pass.before < batch; pass.before += part) {
        pass.samples = Math.min(part, batch - pass.before);
        this.#graph.load(samples, order, from + pass.before, pass.samples);
        this.#graph.forward(pass);
        this.#graph.loss(pass.samples, batch, sums);
        if (!Number.isFinite(sums.lossSum)) this.#refuse(`the loss is ${sums.lossSum}`, pass.step);
        if (!inPlace) target.accumulate = pass.before > 0;
        this.#graph.backward(pass, target);
      }
      if (!inPlace) this.#step.apply(this.#gradient);
      loss += sums.lossSum / batch;
      pass.step++;
    }
    if (this.#kernels.allFinite(weights, this.parameterCount) === 0)
      this.#refuse("a weight is not finite", pass.step - 1);
    this.#step.end(plan);
    return { steps, loss: loss / steps };
  }

  evaluate(samples: Samples): Evaluation {
    this.#checkAlive();
    checkSamples(this.spec, this.#graph.layout, samples);
    const { count } = samples;
    const sums: Passage = { lossSum: 0, hits: 0 };
    const part = this.#graph.partOf(count, "inference");
    this.#graph.reserve(part);
    for (let from = 0; from < count; from += part) {
      const some = Math.min(part, count - from);
      this.#graph.load(samples, undefined, from, some);
      this.#graph.forward({ mode: "inference", samples: some, before: from, step: 0, seed: 0 });
      this.#graph.loss(some, 0, sums);
    }
    const loss = sums.lossSum / count;
    return this.spec.loss === "softmax-cross-entropy"
      ? { count, loss, accuracy: sums.hits / count }
      : { count, loss };
  }

  predict(features: Float32Array, count: number): Float32Array {
    this.#checkAlive();
    const { outputSize } = this.#graph.layout;
    checkFeatures(this.spec, this.#graph.layout, features, count);
    const outputs = new Float32Array(count * outputSize);
    const part = this.#graph.partOf(count, "inference");
    this.#graph.reserve(part);
    for (let from = 0; from < count; from += part) {
      const samples = Math.min(part, count - from);
      this.#graph.loadFeatures(features, undefined, from, samples);
      const at = this.#graph.forward({
        mode: "inference",
        samples,
        before: from,
        step: 0,
        seed: 0,
      });
      const some = this.#arena.floats().subarray(at / 4, at / 4 + samples * outputSize);
      outputs.set(some, from * outputSize);
    }
    return outputs;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#graph.dispose();
    this.#step.dispose();
    for (const at of [this.#graph.weights, this.#gradient, this.#backup]) this.#arena.give(at);
    this.#onDispose();
  }

  #refuse(what: string, step: number): never {
    this.#parametersAt(this.#graph.weights).set(this.#parametersAt(this.#backup));
    throw new TrainingError(
      "training.not-finite",
      `step ${step}: ${what}; the learning rate may be too high`,
    );
  }

  #takeParameters(what: string): Address {
    return this.#arena.take(4 * this.parameterCount, what);
  }

  #parametersAt(at: Address): Float32Array {
    return this.#arena.floats().subarray(at / 4, at / 4 + this.parameterCount);
  }

  #checkAlive(): void {
    if (this.#disposed) throw new TrainingError("training.disposed", "the model was disposed");
  }
}
