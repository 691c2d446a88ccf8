/** Bounds and rhythm of a replica. Sizes in bytes, times in milliseconds. All replicas of a group use the same. */
export interface PbftOptions {
  /** Sequence numbers between two checkpoints: K of the paper. */
  readonly checkpointInterval: number;
  /** Sequence numbers between the low and the high watermark: L of the paper; a multiple of K, at least 2 K. */
  readonly windowSize: number;
  /** Batches that a primary has under way at once; requests that come meanwhile gather into the next batch. */
  readonly inFlightMax: number;
  readonly batchRequestsMax: number;
  readonly batchBytesMax: number;
  /** Largest request: client, operation and signature. */
  readonly requestBytesMax: number;
  /** Clients whose requests wait to be executed, one request each. */
  readonly waitingMax: number;
  /** Clients whose last reply is kept. */
  readonly clientsMax: number;
  readonly resultBytesMax: number;
  /** State of the application together with the client table. */
  readonly stateBytesMax: number;
  /** The state travels in pieces of this size. */
  readonly chunkBytes: number;
  /** Chunks asked for at once. */
  readonly chunksInFlightMax: number;
  /** Until a primary that does not get a known request executed is suspected; doubles with each view change. */
  readonly progressTimeoutMs: number;
  /** Doubling ends here. */
  readonly progressTimeoutMaxMs: number;
  /** Between two looks whether something was lost. */
  readonly resendIntervalMs: number;
  /** Looks between two words to the others while nothing is missing here. */
  readonly idleResendTicks: number;
  /** Most bytes of log sent in answer to one status. */
  readonly answerBytesMax: number;
  /** Messages that cost work (certificates, fetches, view changes) taken from one replica between two looks. */
  readonly costlyMessagesMax: number;
  /** Messages of coming views kept for each replica until this one gets there. */
  readonly earlyMessagesMax: number;
}

/** For committees of up to ten on a local network. */
export const defaultPbftOptions: PbftOptions = {
  checkpointInterval: 64,
  windowSize: 128,
  inFlightMax: 8,
  batchRequestsMax: 128,
  batchBytesMax: 131_072,
  requestBytesMax: 65_536,
  waitingMax: 1_024,
  clientsMax: 1_024,
  resultBytesMax: 1_024,
  stateBytesMax: 8_388_608,
  chunkBytes: 65_536,
  chunksInFlightMax: 4,
  progressTimeoutMs: 2_000,
  progressTimeoutMaxMs: 60_000,
  resendIntervalMs: 250,
  idleResendTicks: 8,
  answerBytesMax: 524_288,
  costlyMessagesMax: 192,
  earlyMessagesMax: 64,
};

/** @throws RangeError when a bound is no positive whole number, or two of them contradict each other */
export function checkOptions(options: PbftOptions): void {
  for (const [name, value] of Object.entries(options))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} is a positive whole number, not ${value}`);
  const { checkpointInterval, windowSize, inFlightMax, requestBytesMax, batchBytesMax } = options;
  if (windowSize % checkpointInterval !== 0 || windowSize < 2 * checkpointInterval)
    throw new RangeError(
      "windowSize is a multiple of checkpointInterval, and at least twice as much",
    );
  if (inFlightMax > windowSize) throw new RangeError("inFlightMax is at most windowSize");
  if (requestBytesMax > batchBytesMax) throw new RangeError("a batch has room for any one request");
}
