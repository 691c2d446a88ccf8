import type { Combined, Inspected } from "../federated/combining/combine.ts";
import type { PackedUpdate } from "../federated/compression/pack-update.ts";
import { DataError } from "../federated/data/data-error.ts";
import type { LearningOptions } from "../federated/options/agent-learning-options.ts";
import type { LearningGround } from "../federated/running/learning-ground.ts";
import { letHeapGrow } from "../platform/node/heap-growth.ts";
import { TrainingThread } from "../platform/simd/training-thread.ts";
import type { CombineAsk, DatasetAnswer, InspectAsk } from "./production-learning-worker.ts";

/**
 * What a round brings along, up to a dozen models' worth of bytes, counts as growth: at the 30 percent that an agent starts with V8 marks the
 * whole heap once or twice a round, which takes a tenth of all processor time (docs/decisions/memory.md).
 */
const HEAP_GROWTH_PERCENT = 100;

/** Beside this file: `production-learning-worker.ts` among the sources, `learning-worker.js` in the bundle. */
function workerFile(): URL {
  return import.meta.url.endsWith(".ts")
    ? new URL("./production-learning-worker.ts", import.meta.url)
    : new URL("./learning-worker.js", import.meta.url);
}

/**
 * Learning with the compiled kernels, in a thread of its own: one for all of it, since each takes some ten megabytes and what has to be
 * put together waits no longer than a slice of training takes. Loaded only where something is learned.
 */
export function openLearningThread({ datasets }: LearningOptions): LearningGround {
  const thread = new TrainingThread(workerFile());
  const keepHeapSmall = letHeapGrow(HEAP_GROWTH_PERCENT);
  return {
    training: thread,
    async combine(job, seed) {
      try {
        const ask: CombineAsk = { job, seed };
        return (await thread.other("combine", ask)) as Combined;
      } catch (error) {
        return { kind: "failed", reason: (error as Error).message };
      }
    },
    async inspect(bytes, form) {
      const ask: InspectAsk = { bytes, form };
      return (await thread.other("inspect", ask)) as Inspected;
    },
    async pack(job) {
      return (await thread.other("pack", job)) as PackedUpdate;
    },
    async dataset(name) {
      const found = datasets.find((each) => each.name === name);
      if (found === undefined) return undefined;
      const { dataset, fault } = (await thread.other("dataset", found)) as DatasetAnswer;
      if (fault !== undefined) throw new DataError(fault.code, fault.message);
      return dataset;
    },
    async close() {
      keepHeapSmall();
      await thread.close();
    },
  };
}
