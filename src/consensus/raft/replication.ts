import { memberIds } from "./configuration.ts";
import { dataBytes } from "./entry.ts";
import type { Progress } from "./progress.ts";
import type { RaftState } from "./state.ts";

/**
 * Sends the next entries and what is committed, or a snapshot where the entries are gone.
 * @param evenEmpty also when there are no entries to send, to tell of a commit
 * @returns whether something was sent
 */
export function sendAppend(
  state: RaftState,
  to: number,
  progress: Progress,
  evenEmpty: boolean,
): boolean {
  if (progress.isPaused) return false;
  const { log, options } = state;
  const index = progress.next - 1;
  const logTerm = log.term(index);
  if (logTerm === undefined) return sendSnapshot(state, to, progress);
  // A full flight gets an empty message: if all of it was lost, only the answer to something later can show that.
  const isFull = progress.mode === "replicate" && progress.isFull;
  const entries = isFull ? [] : log.entriesFrom(progress.next, options.messageBytesMax);
  if (entries === undefined) return sendSnapshot(state, to, progress);
  if (entries.length === 0 && !evenEmpty) return false;
  const { id, term } = state;
  const commit = log.committed;
  state.send({ kind: "append", from: id, to, term, index, logTerm, entries, commit });
  progress.sent(entries.length, dataBytes(entries), commit);
  return true;
}

/** Tells everybody of new entries and of what is committed. */
export function broadcastAppend(state: RaftState): void {
  for (const [id, progress] of state.tracker.members)
    if (id !== state.id) sendAppend(state, id, progress, true);
}

/** A sign of life to everybody, with the newest read that waits for a quorum. */
export function broadcastHeartbeat(state: RaftState): void {
  const { id: from, term, log, reads, ticks: sentTick } = state;
  const readRound = reads.round;
  for (const [to, progress] of state.tracker.members) {
    if (to === from) continue;
    // What lies beyond its match may be another entry there.
    const commit = Math.min(progress.match, log.committed);
    state.send({ kind: "heartbeat", from, to, term, commit, readRound, sentTick });
    progress.sentCommit(commit);
  }
}

/** Waits while the receiver does not answer, and while there is no snapshot that it is a member in and could take. */
function sendSnapshot(state: RaftState, to: number, progress: Progress): boolean {
  const snapshot = progress.isActive ? state.log.snapshot() : undefined;
  if (snapshot === undefined || !memberIds(snapshot.configuration).includes(to)) return false;
  progress.becomeSnapshot(snapshot.index);
  state.send({ kind: "snapshot", from: state.id, to, term: state.term, snapshot });
  return true;
}
