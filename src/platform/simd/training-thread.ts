import { Worker } from "node:worker_threads";
import type { Random } from "../random.ts";
import {
  type Evaluation,
  type ModelSpec,
  type ParameterInfo,
  type Samples,
  TrainingError,
  type TrainPlan,
} from "../training-backend.ts";
import { initialWeights } from "../training-initial-weights.ts";
import { layOut, type ModelLayout } from "../training-layout.ts";
import type {
  RunControl,
  RunnableModel,
  RunOutcome,
  TrainingCheckpoint,
  TrainingRunner,
} from "../training-runner.ts";
import type { Calls, Reply } from "./training-messages.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: TrainingError) => void;
  readonly onProgress: RunControl["onProgress"];
}

/** The compiled backend in a thread of its own, which may do more than that. */
export class TrainingThread implements TrainingRunner {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #ended: TrainingError | undefined;

  /**
   * @param file of the thread: calls `serveTraining` with its `workerData`
   * @param options.memoryBytesMax as of the backend
   */
  constructor(file: URL, options: { readonly memoryBytesMax?: number } = {}) {
    this.#worker = new Worker(file, { execArgv: [], name: "training", workerData: options });
    this.#worker.on("message", (reply: Reply) => {
      this.#receive(reply);
    });
    this.#worker.on("error", (error: Error) => {
      this.#end(`the training thread failed: ${error.message}`, error);
    });
    this.#worker.on("exit", () => {
      this.#end("the training thread ended");
    });
    // What is under way holds the process, the thread alone does not.
    this.#worker.unref();
  }

  async build(spec: ModelSpec, random: Random): Promise<RunnableModel> {
    const layout = layOut(spec);
    const index = await this.call("build", { spec, weights: initialWeights(layout, random) });
    return new ThreadModel(this, index, spec, layout);
  }

  bytes(): Promise<number> {
    return this.call("bytes", {});
  }

  async close(): Promise<void> {
    this.#end("the training thread was closed");
    await this.#worker.terminate();
  }

  /** Asks the thread for something. */
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    onProgress?: RunControl["onProgress"],
  ): Promise<Calls[Kind]["answer"]> {
    return this.#ask({ kind, ...ask }, onProgress) as Promise<Calls[Kind]["answer"]>;
  }

  /**
   * Asks for something beside training, which the thread's file names.
   * @returns what it answers @throws TrainingError `training.backend` where that failed, `training.disposed` where the thread has ended
   */
  other(name: string, ask: object): Promise<unknown> {
    return this.#ask({ kind: "other", name, ask });
  }

  #ask(ask: object, onProgress?: RunControl["onProgress"]): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = ++this.#count;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject, onProgress });
    this.#worker.ref();
    this.#worker.postMessage({ id, ...ask });
    return promise;
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (reply.kind === "progress") {
      waiting?.onProgress?.({ step: reply.step, steps: reply.steps });
      return;
    }
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (reply.kind === "answer") waiting?.resolve(reply.answer);
    else waiting?.reject(new TrainingError(reply.code, reply.message));
  }

  #end(what: string, cause?: Error): void {
    this.#ended ??= new TrainingError("training.disposed", what, { cause });
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

class ThreadModel implements RunnableModel {
  readonly spec: ModelSpec;
  readonly #thread: TrainingThread;
  readonly #model: number;
  readonly #layout: ModelLayout;

  constructor(thread: TrainingThread, model: number, spec: ModelSpec, layout: ModelLayout) {
    this.#thread = thread;
    this.#model = model;
    this.spec = spec;
    this.#layout = layout;
  }

  get layout(): readonly ParameterInfo[] {
    return this.#layout.parameters;
  }

  get parameterCount(): number {
    return this.#layout.parameterCount;
  }

  read(): Promise<Float32Array> {
    return this.#thread.call("read", { model: this.#model });
  }

  write(weights: Float32Array): Promise<void> {
    return this.#thread.call("write", { model: this.#model, weights });
  }

  async train(samples: Samples, plan: TrainPlan, control: RunControl = {}): Promise<RunOutcome> {
    const { signal, from, onProgress } = control;
    signal?.throwIfAborted();
    const stop = (): void => {
      // When it fails, the run has failed too and says why.
      this.#thread.call("stop", { model: this.#model }).catch(() => undefined);
    };
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const tells = onProgress !== undefined;
      const ask = { model: this.#model, samples, plan, from, tells };
      return await this.#thread.call("train", ask, onProgress);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  pause(): Promise<void> {
    return this.#thread.call("pause", { model: this.#model });
  }

  resume(): Promise<void> {
    return this.#thread.call("resume", { model: this.#model });
  }

  checkpoint(): Promise<TrainingCheckpoint> {
    return this.#thread.call("checkpoint", { model: this.#model });
  }

  evaluate(samples: Samples): Promise<Evaluation> {
    return this.#thread.call("evaluate", { model: this.#model, samples });
  }

  predict(features: Float32Array, count: number): Promise<Float32Array> {
    return this.#thread.call("predict", { model: this.#model, features, count });
  }

  dispose(): Promise<void> {
    return this.#thread.call("dispose", { model: this.#model });
  }
}
