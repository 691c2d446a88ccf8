import { memberIds } from "./configuration.ts";
import type { Snapshot } from "./log-storage.ts";
import type { AppendRequest, Heartbeat, SnapshotMessage } from "./message.ts";
import { reconfigure } from "./reconfigure.ts";
import type { Refusal } from "./refusals.ts";
import type { RaftState } from "./state.ts";

/** What only a leader says. */
export type LeaderMessage = AppendRequest | Heartbeat | SnapshotMessage;

/** Does what the leader of the term says. */
export function obey(state: RaftState, message: LeaderMessage): Refusal | undefined {
  if (message.kind === "append") return append(state, message);
  if (message.kind === "heartbeat") return answerHeartbeat(state, message);
  return takeSnapshot(state, message);
}

/** Appends and says what there is now, or where the logs may agree (Ongaro and Ousterhout 2014, section 5.3). */
function append(state: RaftState, message: AppendRequest): Refusal | undefined {
  const { log } = state;
  const { index, logTerm, entries, commit, from } = message;
  const isQuiet = message.quiet === true && entries.length === 0;
  if (index < log.committed) {
    if (!isQuiet) acknowledge(state, from, log.committed);
    return undefined;
  }
  const result = log.tryAppend({ previous: { index, term: logTerm }, entries, commit });
  if (result === "conflict") return "conflicts-with-committed";
  if (result !== "mismatch") {
    if (!isQuiet) acknowledge(state, from, result);
    return undefined;
  }
  // What has a later term than the leader has there can not be in its log, so the hint skips it.
  const hint = log.lastWithin(Math.min(index, log.lastIndex), logTerm);
  const { id, term } = state;
  const refusal = { index, reject: true, rejectHint: hint.index, logTerm: hint.term };
  state.promise({ kind: "append-response", from: id, to: from, term, ...refusal });
  return undefined;
}

function answerHeartbeat(state: RaftState, message: Heartbeat): Refusal | undefined {
  if (!state.log.commitTo(message.commit)) return "commit-beyond-log";
  const { readRound, sentTick, from: to } = message;
  const { id: from, term } = state;
  state.send({ kind: "heartbeat-response", from, to, term, readRound, sentTick });
  return undefined;
}

function takeSnapshot(state: RaftState, { from, snapshot }: SnapshotMessage): Refusal | undefined {
  const { log } = state;
  const isForeign = !memberIds(snapshot.configuration).includes(state.id);
  const isRestored = !isForeign && restore(state, snapshot);
  acknowledge(state, from, isRestored ? log.lastIndex : log.committed);
  return isForeign ? "foreign-snapshot" : undefined;
}

/** @returns whether the snapshot took the place of the log, which it need not if the log has what is in it */
function restore(state: RaftState, snapshot: Snapshot): boolean {
  const { log } = state;
  if (snapshot.index <= log.committed) return false;
  if (log.has(snapshot)) {
    log.commitTo(snapshot.index);
    return false;
  }
  state.superseded ??= state.tracker.configuration;
  log.restore(snapshot);
  reconfigure(state, snapshot.configuration);
  return true;
}

function acknowledge(state: RaftState, to: number, index: number): void {
  const { id, term } = state;
  const answer = { index, reject: false, rejectHint: 0, logTerm: 0 };
  state.promise({ kind: "append-response", from: id, to, term, ...answer });
}
