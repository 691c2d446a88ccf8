import { defaultPbftOptions, type PbftOptions } from "../../../src/consensus/pbft/options.ts";

/** Bounds so tight that a short run meets every one of them. */
export const smallOptions: PbftOptions = {
  ...defaultPbftOptions,
  checkpointInterval: 4,
  windowSize: 8,
  inFlightMax: 3,
  batchRequestsMax: 3,
  batchBytesMax: 2_048,
  requestBytesMax: 1_024,
  waitingMax: 16,
  clientsMax: 32,
  chunkBytes: 512,
  stateBytesMax: 65_536,
  progressTimeoutMs: 1_000,
  progressTimeoutMaxMs: 16_000,
  resendIntervalMs: 200,
  idleResendTicks: 4,
  earlyMessagesMax: 32,
};
