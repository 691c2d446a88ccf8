/** What a receiver takes at most, and how long it keeps it. */
export interface ReceiverLimits {
  /** Agents that may be known at once. */
  readonly agentsMax: number;
  readonly streamsPerAgentMax: number;
  readonly streamsMax: number;
  /** Largest update, as it is stored. */
  readonly updateBytesMax: number;
  /** Updates that wait for the disk; past this the sender is asked to come again. */
  readonly waitingBytesMax: number;
  /** Runs of sequences that are remembered per stream besides `through`. */
  readonly rangesMax: number;
  /** Oldest updates go when all of them take more than this, before compression. 0: never. */
  readonly keepBytesMax: number;
  /** Updates go when they were received longer ago than this. 0: never. */
  readonly keepMs: number;
}

/** Limits where nothing else is asked for. */
export const defaultLimits: ReceiverLimits = {
  agentsMax: 10_000,
  streamsPerAgentMax: 10_000,
  streamsMax: 100_000,
  updateBytesMax: 2 * 1_024 * 1_024,
  waitingBytesMax: 64 * 1_024 * 1_024,
  rangesMax: 1_024,
  keepBytesMax: 0,
  keepMs: 0,
};
