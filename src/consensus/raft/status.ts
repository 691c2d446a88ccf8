import type { Configuration } from "./configuration.ts";
import type { HardState } from "./log-storage.ts";
import type { ProgressMode } from "./progress.ts";
import type { Refusal } from "./refusals.ts";
import type { RaftState, SoftState } from "./state.ts";

/** What a leader knows of a member. */
export interface MemberStatus {
  readonly mode: ProgressMode;
  /** The last entry that it is known to have on disk. */
  readonly match: number;
  /** The next entry to send it. */
  readonly next: number;
  readonly isLearner: boolean;
  /** It was heard of since the last look at the quorum. */
  readonly isActive: boolean;
  /** No append is sent before it answers. */
  readonly isPaused: boolean;
  /** Index of the snapshot on its way, or 0. */
  readonly pendingSnapshot: number;
  readonly inflightCount: number;
  readonly isFull: boolean;
}

/** How things are with a node. */
export interface RaftStatus extends SoftState, HardState {
  readonly id: number;
  /** The last entry that is applied. */
  readonly applied: number;
  /** The last entry there is. */
  readonly lastIndex: number;
  /** To whom leadership is being handed over, or 0. */
  readonly transferee: number;
  /** Of data that waits to be applied, of this leader in this term. */
  readonly uncommittedBytes: number;
  readonly configuration: Configuration;
  /** By ascending id; empty unless this node leads. */
  readonly members: ReadonlyMap<number, MemberStatus>;
  /** What was refused since the start, by name. */
  readonly refusals: ReadonlyMap<Refusal, number>;
}

/** A copy: it does not change later, but for the refusals. */
export function statusOf(state: RaftState): RaftStatus {
  const { id, log, tracker, transferee, uncommittedBytes } = state;
  const members = new Map<number, MemberStatus>();
  if (state.role === "leader")
    for (const [member, progress] of tracker.members) {
      const { mode, match, next, isLearner, isActive, isPaused } = progress;
      const { pendingSnapshot, inflightCount, isFull } = progress;
      const flight = { pendingSnapshot, inflightCount, isFull };
      members.set(member, { mode, match, next, isLearner, isActive, isPaused, ...flight });
    }
  return {
    ...state.softState,
    ...state.hardState,
    id,
    applied: log.applied,
    lastIndex: log.lastIndex,
    transferee,
    uncommittedBytes,
    configuration: tracker.configuration,
    members,
    refusals: state.refusals.counts,
  };
}
