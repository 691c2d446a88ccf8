/** Bounds and rhythm of orders. Times in milliseconds. */
export interface TaskOptions {
  /** Tasks of others that are worked on at once, and promised. */
  readonly capacity: number;
  /** For bids to come in. */
  readonly bidWithinMs: number;
  /** Orders under way at once. */
  readonly openMax: number;
  /** Orders that are over and kept. */
  readonly keptMax: number;
  /** Inputs and outputs of all orders together. */
  readonly bytesMax: number;
  /** Outputs of one order that are kept. */
  readonly resultBytesMax: number;
  /** Moments of one order that are kept. */
  readonly historyMax: number;
  /** Announcements of one call, all together: a large input goes to fewer agents. */
  readonly announceBytesMax: number;
  /** Between two attempts: full jitter, doubling up to the most. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** An order that nobody can do any more fails after this time. */
  readonly unmetPatienceMs: number;
}

/** For a device with a few megabytes to spare for orders. */
export const defaultTaskOptions: TaskOptions = {
  capacity: 4,
  bidWithinMs: 2_000,
  openMax: 256,
  keptMax: 512,
  bytesMax: 16_777_216,
  resultBytesMax: 1_048_576,
  historyMax: 64,
  announceBytesMax: 1_048_576,
  retryMinMs: 1_000,
  retryMaxMs: 60_000,
  unmetPatienceMs: 60_000,
};

/** Fewest agents that a task is announced to, however large its input is. */
export const CANDIDATES_MIN = 8;
