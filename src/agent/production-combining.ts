import { parentPort } from "node:worker_threads";
import { type Combined, type CombineJob, combine } from "../federated/combining/combine.ts";
import { letGo } from "../federated/combining/let-go.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import { SimdVectorMath } from "../platform/simd/vector-math-simd.ts";

/** What a thread is asked. */
export interface CombineAsk {
  readonly id: number;
  readonly seed: string;
  readonly job: CombineJob;
}

/** What it answers. */
export interface CombineAnswer {
  readonly id: number;
  readonly combined: Combined;
}

const math = new SimdVectorMath();

parentPort?.on("message", ({ id, seed, job }: CombineAsk) => {
  const combined = combine(job, { math, random: new SeededRandom(seed) });
  const answer: CombineAnswer = { id, combined };
  const moved =
    combined.kind === "combined"
      ? [combined.model, ...(combined.state === undefined ? [] : [combined.state])]
      : [];
  parentPort?.postMessage(
    answer,
    moved.map(({ buffer }) => buffer as ArrayBuffer),
  );
  // They came as copies, and this thread would keep them for many rounds.
  for (const { bytes } of job.updates) letGo(bytes);
  letGo(job.base);
  if (job.state !== undefined) letGo(job.state);
});
