import { changeOf, isChangeKind } from "./change.ts";
import { changed } from "./changer.ts";
import type { Proposal } from "./entry.ts";
import { ENTRY_OVERHEAD_BYTES, NO_DATA } from "./entry.ts";
import type { AppendResponse, HeartbeatResponse } from "./message.ts";
import type { Progress } from "./progress.ts";
import { answerConfirmed } from "./read-index.ts";
import { tryCommit } from "./reconfigure.ts";
import type { Refusal } from "./refusals.ts";
import { broadcastAppend, sendAppend } from "./replication.ts";
import type { RaftState } from "./state.ts";

const EMPTY: Proposal = { kind: "normal", data: NO_DATA };

/**
 * Appends proposals and sends them. A change of members that can not be made now leaves an empty entry in its place, so
 * that whoever proposed it sees it come by.
 */
export function appendProposals(
  state: RaftState,
  proposals: readonly Proposal[],
): Refusal | undefined {
  const { log, options } = state;
  if (state.tracker.get(state.id) === undefined) return "not-a-member";
  if (state.transferee !== 0) return "transfer-in-progress";
  const bytesMax = options.acceptedBytesMax - ENTRY_OVERHEAD_BYTES;
  if (proposals.some(({ data }) => data.length > bytesMax)) return "too-large";
  if (proposals.some((one) => isChangeKind(one.kind) && changeOf(one) === undefined))
    return "malformed-change";
  const pendingBefore = state.pendingChangeIndex;
  const first = log.lastIndex + 1;
  const accepted = proposals.map((proposal, at) => {
    if (!isChangeKind(proposal.kind)) return proposal;
    if (!options.disableChangeValidation && !isPossibleNow(state, proposal)) return EMPTY;
    state.pendingChangeIndex = first + at;
    return proposal;
  });
  if (!state.appendOwn(accepted)) {
    state.pendingChangeIndex = pendingBefore;
    return "uncommitted-bytes";
  }
  broadcastAppend(state);
  return undefined;
}

/** Once the change before it is applied, the configuration in force is the one that it will meet. */
function isPossibleNow(state: RaftState, proposal: Proposal): boolean {
  if (state.pendingChangeIndex > state.log.applied) return false;
  const change = changeOf(proposal);
  return change !== undefined && typeof changed(state.tracker.configuration, change) !== "string";
}

/** Takes what a follower has, or does not have (Ongaro and Ousterhout 2014, section 5.3). */
export function takeAppendResponse(
  state: RaftState,
  progress: Progress,
  response: AppendResponse,
): Refusal | undefined {
  if (!response.reject && response.index > state.log.lastIndex) return "commit-beyond-log";
  progress.isActive = true;
  if (response.reject) retryFurtherBack(state, progress, response);
  else advanceFollower(state, progress, response);
  return undefined;
}

function retryFurtherBack(state: RaftState, progress: Progress, response: AppendResponse): void {
  const { from, index, rejectHint, logTerm } = response;
  // What has a later term here than the follower has there can not be in its log.
  const hint = logTerm > 0 ? state.log.lastWithin(rejectHint, logTerm).index : rejectHint;
  if (!progress.decrease(index, hint)) return;
  if (progress.mode === "replicate") progress.becomeProbe();
  sendAppend(state, from, progress, "to-ask");
}

function advanceFollower(state: RaftState, progress: Progress, response: AppendResponse): void {
  const { from, index } = response;
  const { log } = state;
  const isFound = progress.match === index && progress.mode === "probe";
  if (!progress.acknowledge(index) && !isFound) return;
  if (progress.mode === "probe") progress.becomeReplicate();
  else if (progress.mode === "replicate") progress.freeTo(index);
  else if (progress.match + 1 >= log.firstIndex) progress.becomeReplicate();
  const isOwn = from === state.id;
  if (tryCommit(state)) broadcastAppend(state);
  else if (!isOwn && progress.canLearnOf(log.committed))
    sendAppend(state, from, progress, "to-tell");
  if (isOwn) return;
  while (sendAppend(state, from, progress, "not-empty"));
  if (from === state.transferee && progress.match === log.lastIndex) sendTimeoutNow(state, from);
}

/** A follower is alive, and still takes this node for the leader. */
export function takeHeartbeatResponse(
  state: RaftState,
  progress: Progress,
  { from, readRound, sentTick }: HeartbeatResponse,
): Refusal | undefined {
  const { reads, log } = state;
  if (readRound > reads.lastRound || sentTick > state.ticks) return "unknown-round";
  progress.isActive = true;
  progress.answeredTick = Math.max(progress.answeredTick, sentTick);
  progress.release();
  if (progress.match < log.lastIndex || progress.mode === "probe")
    sendAppend(state, from, progress, "to-ask");
  if (readRound === 0) return undefined;
  reads.acknowledge(from, readRound);
  answerConfirmed(state);
  return undefined;
}

/** A snapshot that was sent is with the follower, or lost. Either way it has to be heard of before more is sent. */
export function takeSnapshotReport(progress: Progress, isDelivered: boolean): void {
  if (progress.mode !== "snapshot") return;
  if (isDelivered) progress.becomeProbe();
  else progress.snapshotFailed();
  progress.hold();
}

/** Hands leadership over: brings the target up to date, then has it campaign (Ongaro 2014, section 3.10). */
export function startTransfer(state: RaftState, target: number): Refusal | undefined {
  const progress = state.tracker.get(target);
  if (progress === undefined || progress.isLearner) return "unpromotable";
  if (state.transferee === target) return undefined;
  state.transferee = 0;
  if (target === state.id) return undefined;
  // It has one election timeout for that.
  state.electionElapsed = 0;
  state.transferee = target;
  if (progress.match === state.log.lastIndex) sendTimeoutNow(state, target);
  else sendAppend(state, target, progress, "to-ask");
  return undefined;
}

function sendTimeoutNow(state: RaftState, to: number): void {
  state.isLeaseGivenUp = true;
  state.send({ kind: "timeout-now", from: state.id, to, term: state.term });
}
