import { defaultPbftOptions, type PbftOptions } from "../pbft/options.ts";

/** How a member of a group runs. Sizes in bytes, times in milliseconds. `pbft` and `keysMax` are the same at all members. */
export interface PbftMemberOptions {
  readonly pbft: PbftOptions;
  /** Values are known again for this many further ones. */
  readonly keysMax: number;
  /** Largest value; it fits into a request with what belongs to it. */
  readonly valueBytesMax: number;
  /** Values that go into one signed operation. */
  readonly operationValuesMax: number;
  /** Callers that wait for values and changes, and as many that wait to read. */
  readonly waitingMax: number;
  /** Of values that wait to be decided. */
  readonly waitingBytesMax: number;
  /** Between two looks at what waits. */
  readonly tickMs: number;
  /** An operation that is not executed after this time goes to all members: the primary may be silent. Doubles, to a bound. */
  readonly retryAfterMs: number;
  /** So long a member that has heard of the end of its epoch may take to reach it by itself. */
  readonly graceMs: number;
  /** Between two words about the end of an epoch to, or from, the same member. */
  readonly handoverEveryMs: number;
}

/** Bytes of an operation beside one value of it, and of a request beside its operation. */
export const REQUEST_HEAD_BYTES = 512;

/** For committees of up to ten in one network. */
export const defaultPbftMemberOptions: PbftMemberOptions = {
  pbft: {
    ...defaultPbftOptions,
    requestBytesMax: 131_072,
    batchBytesMax: 262_144,
    stateBytesMax: 64 * 1_048_576,
    // Less than a slow link's round trip: with every fifth message lost, decisions take two seconds and not four.
    resendIntervalMs: 150,
    idleResendTicks: 16,
  },
  keysMax: 8_192,
  valueBytesMax: 65_536,
  operationValuesMax: 256,
  waitingMax: 4_096,
  waitingBytesMax: 16 * 1_048_576,
  tickMs: 100,
  retryAfterMs: 400,
  graceMs: 1_000,
  handoverEveryMs: 500,
};

/** @throws RangeError when a bound is no positive whole number, or a value would not fit into a request */
export function checkMemberOptions({ pbft, ...own }: PbftMemberOptions): void {
  for (const [name, value] of Object.entries(own))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} is a positive whole number, not ${value}`);
  if (own.valueBytesMax + REQUEST_HEAD_BYTES > pbft.requestBytesMax)
    throw new RangeError("a request has room for any one value");
}
