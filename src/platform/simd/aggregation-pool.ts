import { Worker } from "node:worker_threads";
import { type AggregationMemory, addressOf, scratchOf } from "./aggregation-memory.ts";
import { aggregationModule } from "./aggregation-module.ts";
import { webAssembly } from "./webassembly.ts";

/** A block takes less than a second on the slowest device; a thread that is silent for so long will not come back. */
const SILENCE_MAX_MS = 60_000;

/** What a job is about; names are those of `kernels/aggregation/job.ts`. */
export interface Job {
  readonly kind: "finite" | "sum" | "distances" | "distances-to" | "median" | "trimmed" | "around";
  readonly rows: number;
  readonly length: number;
  readonly blocks: number;
  /** Coordinates of a block. */
  readonly blockLength: number;
  readonly count?: number;
  readonly slotBytes?: number;
  readonly point?: number;
  readonly comparators?: number;
}

const KINDS = ["finite", "sum", "distances", "distances-to", "median", "trimmed", "around"];

interface Kernels {
  work(scratch: number): void;
}

/** All that a thread ever does; it ends when `stop` is set. As text, so that sources and bundle start it alike. */
const THREAD = `
const { workerData: { module, memory, scratch } } = require("node:worker_threads");
new WebAssembly.Instance(module, { env: { memory } }).exports.serve(scratch);
`;

/** Threads that share one memory and take blocks of a job until none is left. The calling thread works as well. */
export class AggregationPool {
  readonly threads: number;
  readonly #words: Int32Array;
  readonly #kernels: Kernels;
  readonly #workers: Worker[] = [];
  #fault: Error | undefined;

  /** @param threads the calling thread included */
  constructor(threads: number, { memory }: AggregationMemory) {
    this.threads = threads;
    this.#words = new Int32Array(memory.buffer, 0, addressOf.table / 4);
    const module = new webAssembly.Module(Buffer.from(aggregationModule, "base64"));
    const instance = new webAssembly.Instance(module, { env: { memory } });
    this.#kernels = instance.exports as Kernels;
    for (let index = 1; index < threads; index++) {
      const worker = new Worker(THREAD, {
        eval: true,
        execArgv: [],
        name: `aggregation-${index}`,
        workerData: { module, memory, scratch: scratchOf(index) },
      });
      worker.unref();
      worker.on("error", (error: Error) => {
        this.#fault ??= error;
      });
      this.#workers.push(worker);
    }
  }

  /**
   * Does all blocks of a job.
   * @param alone the calling thread does it, since to wake others would take longer
   * @throws Error when a thread died with a block in its hands
   */
  run(job: Job, alone: boolean): void {
    const words = this.#words;
    const at = addressOf.job / 4;
    words[at] = KINDS.indexOf(job.kind);
    words[at + 1] = job.rows;
    words[at + 2] = job.length;
    words[at + 3] = job.count ?? 0;
    words[at + 4] = addressOf.table;
    words[at + 5] = addressOf.factors;
    words[at + 6] = addressOf.result;
    words[at + 7] = addressOf.slots;
    words[at + 8] = job.slotBytes ?? 0;
    words[at + 9] = job.point ?? 0;
    words[at + 10] = addressOf.network;
    words[at + 11] = job.comparators ?? 0;
    words[at + 12] = job.blockLength;
    Atomics.store(words, addressOf.done / 4, 0);
    // The parameters are written before: whoever gets a block of this job reads those of this job.
    Atomics.store(words, addressOf.ticket / 4, job.blocks << 20);
    if (!alone && this.#workers.length > 0) this.#wake();
    this.#kernels.work(scratchOf(0));
    for (;;) {
      const done = Atomics.load(words, addressOf.done / 4);
      if (done === job.blocks) return;
      const outcome = Atomics.wait(words, addressOf.done / 4, done, SILENCE_MAX_MS);
      if (outcome === "timed-out" && Atomics.load(words, addressOf.done / 4) === done)
        throw new Error(
          `a thread of the aggregation did not finish its block within ${SILENCE_MAX_MS} ms`,
          { cause: this.#fault },
        );
    }
  }

  /** Ends the threads. */
  async dispose(): Promise<void> {
    Atomics.store(this.#words, addressOf.stop / 4, 1);
    this.#wake();
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  #wake(): void {
    Atomics.add(this.#words, addressOf.wake / 4, 1);
    Atomics.notify(this.#words, addressOf.wake / 4);
  }
}
