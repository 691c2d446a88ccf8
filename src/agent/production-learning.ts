import { Worker } from "node:worker_threads";
import type { Combined, CombineJob } from "../federated/combining/combine.ts";
import { readCsv } from "../federated/data/csv.ts";
import { DataError } from "../federated/data/data-error.ts";
import { type Dataset, type LabelledSamples, pick, samplesOf } from "../federated/data/dataset.ts";
import { decodeDataset, decompressDataset } from "../federated/data/dataset-file.ts";
import type { LearningOptions } from "../federated/options/agent-learning-options.ts";
import type { LearningGround } from "../federated/running/learning-ground.ts";
import { readDataFile } from "../platform/node/data-file.ts";
import { TrainingThread } from "../platform/simd/training-thread.ts";
import type { CombineAnswer, CombineAsk } from "./production-combining.ts";

/** Every so-many-th row of a CSV file is kept back. */
const TEST_EVERY = 5;

/** Beside this file: `production-combining.ts` among the sources, `combining-worker.js` in the bundle. */
function workerFile(): URL {
  return import.meta.url.endsWith(".ts")
    ? new URL("./production-combining.ts", import.meta.url)
    : new URL("./combining-worker.js", import.meta.url);
}

/** Learning with the compiled kernels, in threads of its own. Loaded only where something is learned. */
export function openLearningThreads({ datasets }: LearningOptions): LearningGround {
  const training = new TrainingThread();
  const combining = new CombiningThread();
  return {
    training,
    combine: (job, seed) => combining.combine(job, seed),
    async dataset(name) {
      const found = datasets.find((each) => each.name === name);
      return found && readDataset(name, found.file);
    },
    async close() {
      await Promise.all([training.close(), combining.close()]);
    },
  };
}

/** @throws DataError naming the setting */
async function readDataset(name: string, file: string): Promise<Dataset> {
  const bytes = await readDataFile(file).catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new DataError("data.setting", `learning.datasets: ${name} can not be read: ${reason}`);
  });
  if (!file.endsWith(".csv")) return decodeDataset(decompressDataset(bytes), sharedFloats);
  const columns = readCsv(new TextDecoder().decode(bytes));
  const { samples, features, classes } = samplesOf(columns, { label: "label" });
  const places = Array.from({ length: samples.count }, (_, at) => at);
  return {
    name,
    shape: [features],
    classes,
    train: shared(
      pick(
        samples,
        places.filter((at) => at % TEST_EVERY !== TEST_EVERY - 1),
      ),
    ),
    test: shared(
      pick(
        samples,
        places.filter((at) => at % TEST_EVERY === TEST_EVERY - 1),
      ),
    ),
  };
}

/** Memory that the training thread sees too: samples are there once, and nothing of them is copied when a round is trained. */
function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

function shared(samples: LabelledSamples): LabelledSamples {
  const features = sharedFloats(samples.features.length);
  features.set(samples.features);
  return { ...samples, features };
}

/** Puts updates together in a thread. */
class CombiningThread {
  readonly #worker = new Worker(workerFile(), { execArgv: [], name: "combining" });
  readonly #waiting = new Map<number, (combined: Combined) => void>();
  #count = 0;
  #ended: string | undefined;

  constructor() {
    this.#worker.on("message", ({ id, combined }: CombineAnswer) => {
      this.#waiting.get(id)?.(combined);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    });
    this.#worker.on("error", (error: Error) => this.#end(`the thread failed: ${error.message}`));
    this.#worker.on("exit", () => this.#end("the thread ended"));
    // What is under way holds the process, the thread alone does not.
    this.#worker.unref();
  }

  combine(job: CombineJob, seed: string): Promise<Combined> {
    if (this.#ended !== undefined) return Promise.resolve({ kind: "failed", reason: this.#ended });
    const ask: CombineAsk = { id: ++this.#count, seed, job };
    const { promise, resolve } = Promise.withResolvers<Combined>();
    this.#waiting.set(ask.id, resolve);
    this.#worker.ref();
    this.#worker.postMessage(ask);
    return promise;
  }

  async close(): Promise<void> {
    this.#end("it was closed");
    await this.#worker.terminate();
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const resolve of this.#waiting.values()) resolve({ kind: "failed", reason });
    this.#waiting.clear();
  }
}
