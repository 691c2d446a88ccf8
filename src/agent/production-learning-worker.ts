import { parentPort, workerData } from "node:worker_threads";
import {
  type CombineJob,
  combine,
  inspect,
  type UpdateForm,
} from "../federated/combining/combine.ts";
import { letGo } from "../federated/combining/let-go.ts";
import { type PackJob, packUpdate } from "../federated/compression/pack-update.ts";
import { DataError } from "../federated/data/data-error.ts";
import type { Dataset } from "../federated/data/dataset.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import { serveTraining } from "../platform/simd/training-service.ts";
import { SimdVectorMath } from "../platform/simd/vector-math-simd.ts";
import { type DatasetFile, readDataset } from "./production-dataset.ts";

/** Puts updates together. */
export interface CombineAsk {
  readonly job: CombineJob;
  readonly seed: string;
}

/** Looks at an update. */
export interface InspectAsk {
  readonly bytes: Uint8Array;
  readonly form: UpdateForm;
}

/** One of the two. */
export interface DatasetAnswer {
  readonly dataset?: Dataset;
  readonly fault?: Pick<DataError, "code" | "message">;
}

// The thread in which an agent learns: started by production-learning.ts, as a file of its own.
if (parentPort !== null) {
  const math = new SimdVectorMath();
  serveTraining(parentPort, workerData as { readonly memoryBytesMax?: number }, {
    combine({ job, seed }: CombineAsk) {
      const combined = combine(job, { math, random: new SeededRandom(seed) });
      // They came as copies, and this thread would keep them for many rounds.
      for (const { bytes } of job.updates) letGo(bytes);
      letGo(job.base);
      if (job.state !== undefined) letGo(job.state);
      if (combined.kind !== "combined") return { answer: combined, moved: [] };
      const { model, state } = combined;
      return { answer: combined, moved: state === undefined ? [model] : [model, state] };
    },
    async dataset(asked: DatasetFile) {
      const answer: DatasetAnswer = await readDataset(asked).then(
        (dataset) => ({ dataset }),
        (error: unknown) => {
          if (!(error instanceof DataError)) throw error;
          const { code, message } = error;
          return { fault: { code, message } };
        },
      );
      // Features are shared, and labels few.
      return { answer, moved: [] };
    },
    pack(job: PackJob) {
      const packed = packUpdate(job);
      letGo(job.update);
      if (job.residual !== undefined) letGo(job.residual);
      const { bytes, residual } = packed;
      // Node.js may have cut it from memory that others have parts of.
      const isWhole = bytes.length === bytes.buffer.byteLength;
      const moved = [...(isWhole ? [bytes] : []), ...(residual === undefined ? [] : [residual])];
      return { answer: packed, moved };
    },
    inspect({ bytes, form }: InspectAsk) {
      const answer = inspect(bytes, form);
      letGo(bytes);
      return { answer, moved: [] };
    },
  });
}
