/**
 * How reads become linearizable. `safe`: a quorum confirms the leader for every read; `lease-based`: the leader answers
 * alone while a quorum answered heartbeats that are younger than an election timeout, which needs clocks of similar speed.
 */
export type ReadMode = "safe" | "lease-based";

/** How a node behaves. All members of a group should have the same, but for `id`. */
export interface RaftOptions {
  /** From 1. */
  readonly id: number;
  /** Ticks without a leader before a campaign, at least; the real number is drawn up to one less than twice that. */
  readonly electionTicks: number;
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number;
  /** Asks first whether an election could be won, so that who was cut off does not depose a leader (Ongaro 2014, 9.6). */
  readonly preVote: boolean;
  /** A leader steps down without a quorum, and a leader that is alive is a reason against a vote (Ongaro 2014, 6.2). */
  readonly checkQuorum: boolean;
  /** `lease-based` wants `checkQuorum`. */
  readonly readMode: ReadMode;
  /** How much of the lease is not used, in ticks: for clocks that are not the same. */
  readonly leaseMarginTicks: number;
  /** A leader that a change removes, or makes a learner, steps down. */
  readonly stepDownOnRemoval: boolean;
  /** Followers refuse proposals rather than passing them on. */
  readonly disableForwarding: boolean;
  /** Changes of members enter the log unchecked. For callers that check and order them themselves. */
  readonly disableChangeValidation: boolean;
  /** What is persisted and applied is acknowledged by messages, not by `advance`. */
  readonly asyncStorage: boolean;
  /**
   * Leaves out what says nothing new: answers to appends that only tell of a commit, and heartbeats to whom
   * an append was sent instead that wants an answer. Members that know nothing of it answer all the same.
   */
  readonly fewerMessages: boolean;
  /** Bytes of entries in an append message. One entry always fits. */
  readonly messageBytesMax: number;
  /** Bytes of entries that are handed out to be applied before the next ones are. */
  readonly applyingBytesMax: number;
  /** Bytes of data that wait to be committed, before proposals are refused. */
  readonly uncommittedBytesMax: number;
  /** Appends sent ahead to one follower. */
  readonly inflightMessagesMax: number;
  /** Bytes of data sent ahead to one follower. */
  readonly inflightBytesMax: number;
  /** Bytes of entries or of a snapshot that are taken from a peer in one message. */
  readonly acceptedBytesMax: number;
  /** Reads that wait for a quorum. */
  readonly pendingReadsMax: number;
}

/** Options that fit a committee of small devices in one network, with ticks of 100 ms. */
export const defaultRaftOptions: Omit<RaftOptions, "id"> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  readMode: "safe",
  leaseMarginTicks: 1,
  stepDownOnRemoval: true,
  disableForwarding: false,
  disableChangeValidation: false,
  asyncStorage: false,
  fewerMessages: false,
  messageBytesMax: 1024 * 1024,
  applyingBytesMax: 1024 * 1024,
  uncommittedBytesMax: 16 * 1024 * 1024,
  inflightMessagesMax: 256,
  inflightBytesMax: 8 * 1024 * 1024,
  acceptedBytesMax: 64 * 1024 * 1024,
  pendingReadsMax: 4_096,
};

const COUNTS = [
  "id",
  "electionTicks",
  "heartbeatTicks",
  "inflightMessagesMax",
  "pendingReadsMax",
] as const;
const SIZES = [
  "messageBytesMax",
  "applyingBytesMax",
  "uncommittedBytesMax",
  "inflightBytesMax",
  "acceptedBytesMax",
  "leaseMarginTicks",
] as const;

/** @throws {Error} when options can not work */
export function checkOptions(options: RaftOptions): void {
  for (const key of COUNTS)
    if (!Number.isSafeInteger(options[key]) || options[key] < 1)
      throw new Error(`${key} has to be a whole number from 1, not ${options[key]}`);
  for (const key of SIZES)
    if (!(options[key] >= 0)) throw new Error(`${key} has to be 0 or more, not ${options[key]}`);
  const { electionTicks, heartbeatTicks, readMode, checkQuorum } = options;
  if (electionTicks <= heartbeatTicks)
    throw new Error("electionTicks have to be more than heartbeatTicks");
  if (options.inflightBytesMax < options.messageBytesMax)
    throw new Error("inflightBytesMax has to hold a message of messageBytesMax");
  if (options.acceptedBytesMax < options.messageBytesMax)
    throw new Error("acceptedBytesMax has to take a message of messageBytesMax");
  if (readMode === "lease-based" && !checkQuorum)
    throw new Error("lease-based reads want checkQuorum");
}
