import type { Configuration } from "./configuration.ts";
import { isVoter } from "./configuration.ts";
import { releaseEarlyReads } from "./read-index.ts";
import { broadcastAppend, sendAppend } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Puts a configuration in force. It is in force as soon as it is applied (Ongaro 2014, section 4.1, differs). */
export function reconfigure(state: RaftState, configuration: Configuration): void {
  const { tracker, log } = state;
  tracker.become(configuration, log.lastIndex);
  if (state.role !== "leader") return;
  const own = tracker.get(state.id);
  if (own === undefined || own.isLearner) {
    if (state.options.stepDownOnRemoval) state.becomeFollower(state.term, 0);
    return;
  }
  // A smaller quorum may have committed more. If not, who is new need not wait for a heartbeat.
  if (tryCommit(state)) broadcastAppend(state);
  else
    for (const [id, progress] of tracker.members)
      if (id !== state.id) sendAppend(state, id, progress, "not-empty");
  if (!isVoter(configuration, state.transferee)) state.transferee = 0;
}

/** Commits what a quorum has on disk, if it is of this term. @returns whether that is news */
export function tryCommit(state: RaftState): boolean {
  const index = state.tracker.committedIndex();
  if (!state.log.tryCommit({ index, term: state.term })) return false;
  releaseEarlyReads(state);
  return true;
}
