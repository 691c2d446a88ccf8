import { LEAVE_JOINT, proposalOf } from "./change.ts";
import { dataBytes, entriesBytes } from "./entry.ts";
import { appendProposals } from "./leader.ts";
import type { Snapshot } from "./log-storage.ts";
import type { Acknowledgement, AppendDone, ApplyDone } from "./message.ts";
import type { Refusal } from "./refusals.ts";
import type { RaftState } from "./state.ts";
import { take } from "./step.ts";

/** Something that this node asked for is done. @returns why its own promise was refused, which is counted, if it was */
export function acknowledge(state: RaftState, done: Acknowledgement): Refusal | undefined {
  if (done.kind === "append-done") noteWritten(state, done);
  else if (done.kind === "apply-done") noteApplied(state, done);
  else {
    const isMember = state.tracker.get(state.id) !== undefined;
    const refusal = isMember ? take(state, done) : "unknown-sender";
    if (refusal !== undefined) return state.refuse(refusal);
  }
  return undefined;
}

/**
 * Entries are durable, unless the term changed meanwhile: then what was asked for later may still be on its way to the
 * same places, and a later answer tells. A snapshot is of no term.
 */
function noteWritten(state: RaftState, { term, index, logTerm, snapshot }: AppendDone): void {
  if (index !== 0 && term === state.term) state.log.unstable.stableTo(index, logTerm);
  if (snapshot !== undefined) noteSnapshot(state, snapshot);
}

function noteSnapshot(state: RaftState, { index }: Snapshot): void {
  state.log.unstable.stableSnapshot(index);
  if (state.log.unstable.snapshot === undefined) state.superseded = undefined;
  noteAppliedTo(state, index, 0);
}

function noteApplied(state: RaftState, { entries }: ApplyDone): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  noteAppliedTo(state, last.index, entriesBytes(entries));
  state.reduceUncommitted(dataBytes(entries));
}

/** The leader leaves a joint configuration by itself, if that is how it was entered (Ongaro 2014, section 4.3). */
function noteAppliedTo(state: RaftState, index: number, bytes: number): void {
  state.log.appliedTo(index, bytes);
  const { autoLeave } = state.tracker.configuration;
  if (!autoLeave || state.role !== "leader" || state.log.applied < state.pendingChangeIndex) return;
  // Refused during a transfer. Then the next entry that is applied brings it here again.
  appendProposals(state, [proposalOf(LEAVE_JOINT, "change-v2")]);
}
