import { memberIds } from "./configuration.ts";
import { dataBytes } from "./entry.ts";
import type { Progress } from "./progress.ts";
import type { RaftState } from "./state.ts";

/** Whether an append goes without entries too: to tell of a commit, or to be answered. */
type Empty = "not-empty" | "to-tell" | "to-ask";

/**
 * Sends the next entries and what is committed, or a snapshot where the entries are gone.
 * @returns whether something was sent
 */
export function sendAppend(
  state: RaftState,
  to: number,
  progress: Progress,
  empty: Empty,
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
  if (entries.length === 0 && empty === "not-empty") return false;
  const { id: from, term } = state;
  const commit = log.committed;
  // What is under way is answered anyhow; a gap is always told, and a lost answer asked for when a heartbeat shows it.
  const mayBeQuiet = options.fewerMessages && empty === "to-tell" && !isFull;
  const isQuiet = mayBeQuiet && entries.length === 0 && progress.mode === "replicate";
  const quiet = isQuiet && { quiet: true };
  state.send({ kind: "append", from, to, term, index, logTerm, entries, commit, ...quiet });
  progress.sent(entries.length, dataBytes(entries), commit);
  if (!isQuiet) progress.askedTick = state.ticks;
  return true;
}

/** Tells everybody of new entries and of what is committed. */
export function broadcastAppend(state: RaftState): void {
  for (const [id, progress] of state.tracker.members)
    if (id !== state.id) sendAppend(state, id, progress, "to-tell");
}

/** A sign of life to everybody who wants one, with the newest read that waits for a quorum. */
export function broadcastHeartbeat(state: RaftState): void {
  const { id: from, term, log, reads, ticks: sentTick } = state;
  const readRound = reads.round;
  for (const [to, progress] of state.tracker.members) {
    if (to === from || (readRound === 0 && wasAskedInstead(state, progress))) continue;
    // What lies beyond its match may be another entry there.
    const commit = Math.min(progress.match, log.committed);
    state.send({ kind: "heartbeat", from, to, term, commit, readRound, sentTick });
    progress.sentCommit(commit);
  }
}

/**
 * An append is as good a sign of life, and so is its answer; but that may have to wait for a slow disk, so a heartbeat goes as well to
 * whoever was not heard of since the last look at the quorum. A lease lives from heartbeats alone.
 */
function wasAskedInstead({ options, ticks }: RaftState, progress: Progress): boolean {
  const { fewerMessages, readMode, heartbeatTicks } = options;
  if (!fewerMessages || readMode !== "safe" || progress.mode !== "replicate") return false;
  return progress.isActive && ticks - progress.askedTick < heartbeatTicks;
}

/** Waits while the receiver does not answer, and while there is no snapshot that it is a member in and could take. */
function sendSnapshot(state: RaftState, to: number, progress: Progress): boolean {
  const snapshot = progress.isActive ? state.log.snapshot() : undefined;
  if (snapshot === undefined || !memberIds(snapshot.configuration).includes(to)) return false;
  progress.becomeSnapshot(snapshot.index);
  state.send({ kind: "snapshot", from: state.id, to, term: state.term, snapshot });
  return true;
}
