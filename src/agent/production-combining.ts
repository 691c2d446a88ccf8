import { parentPort } from "node:worker_threads";
import { type Combined, type CombineJob, combine } from "../federated/combining/combine.ts";
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
  const answer: CombineAnswer = {
    id,
    combined: combine(job, { math, random: new SeededRandom(seed) }),
  };
  parentPort?.postMessage(answer);
});
