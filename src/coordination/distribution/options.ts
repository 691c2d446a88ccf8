/** How tasks are distributed. */
export interface DistributionOptions {
  /** Tasks that are not finished, at once. */
  readonly tasksMax: number;
  /** Different sets of requirements among them. */
  readonly kindsMax: number;
  readonly agentsMax: number;
  /** Finished tasks that are remembered, for those that wait for them and for those that are handed in twice. */
  readonly finishedMax: number;
  /** How often a task may come back from agents that left. */
  readonly returnsMax: number;
  /** Between two attempts: full jitter, doubling up to the most. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** A task that nobody can do any more fails after this time. */
  readonly unmetPatienceMs: number;
  /** Agents whose loads differ by less are equally busy. */
  readonly loadMargin: number;
}

/** For a fleet of a thousand agents and ten thousand tasks. */
export const defaultDistributionOptions: DistributionOptions = {
  tasksMax: 10_000,
  kindsMax: 256,
  agentsMax: 1_024,
  finishedMax: 10_000,
  returnsMax: 16,
  retryMinMs: 1_000,
  retryMaxMs: 60_000,
  unmetPatienceMs: 60_000,
  loadMargin: 0.1,
};
