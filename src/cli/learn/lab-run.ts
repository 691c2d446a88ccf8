import type { RunResult } from "../../federated/lab/run.ts";

/** One run of one variant with one seed, as it is told in JSON. */
export interface LabRun extends RunResult {
  /** Of the variant, from 1. */
  readonly variant: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly backend: string;
  /** SHA-256 of the final parameters: the same file, seed and backend give the same. */
  readonly weightsHash: string;
  readonly realMs: number;
}

/** @returns a run without what came of each of its rounds */
export function withoutHistory(run: LabRun): Omit<LabRun, "history"> {
  const copy: Partial<LabRun> = { ...run };
  delete (copy as { history?: unknown }).history;
  return copy as Omit<LabRun, "history">;
}
