import type { PendingRead } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import { broadcastHeartbeat } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Takes a read as the leader (Ongaro 2014, section 6.4). */
export function takeRead(state: RaftState, read: PendingRead): Refusal | undefined {
  if (state.reads.size >= state.options.pendingReadsMax) return "too-many-reads";
  if (state.hasCommittedInTerm) startRead(state, read);
  else state.reads.addEarly(read);
  return undefined;
}

/** The first entry of the term is committed: now it is known what those have to wait for. */
export function releaseEarlyReads(state: RaftState): void {
  if (!state.hasCommittedInTerm) return;
  for (const read of state.reads.takeEarly()) startRead(state, read);
}

/** Answers what a quorum has confirmed. */
export function answerConfirmed(state: RaftState): void {
  for (const read of state.reads.takeConfirmed(state.tracker.configuration))
    state.answerRead(read, read.index);
}

function startRead(state: RaftState, read: PendingRead): void {
  const { log, reads } = state;
  if (isAlone(state) || hasLease(state)) {
    state.answerRead(read, log.committed);
    return;
  }
  reads.add(read, log.committed);
  reads.acknowledge(state.id, reads.round);
  broadcastHeartbeat(state);
}

function isAlone({ tracker, id }: RaftState): boolean {
  const { voters, outgoing } = tracker.configuration;
  return voters.length === 1 && voters[0] === id && outgoing.length === 0;
}

/**
 * Whether nobody else can have become leader: a quorum answered heartbeats that were sent so short ago that none of it
 * votes yet. The answer tells when the heartbeat was sent, not when it arrived, so the way counts against the lease.
 */
function hasLease(state: RaftState): boolean {
  const { readMode, electionTicks, leaseMarginTicks } = state.options;
  if (readMode !== "lease-based" || state.isLeaseGivenUp) return false;
  return state.ticks < state.tracker.answeredTick() + electionTicks - leaseMarginTicks;
}
