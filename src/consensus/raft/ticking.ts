import { startCampaign } from "./election.ts";
import { broadcastHeartbeat } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Lets a tick pass: a leader gives signs of life, others wait for one and campaign without it. */
export function tick(state: RaftState): void {
  state.ticks++;
  state.electionElapsed++;
  if (state.role === "leader") leaderTick(state);
  else if (state.electionElapsed >= state.electionTimeout && state.isPromotable) {
    state.electionElapsed = 0;
    const refusal = startCampaign(state, state.options.preVote ? "pre-election" : "election");
    if (refusal !== undefined) state.refuse(refusal);
  }
}

function leaderTick(state: RaftState): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = state.options;
  const own = state.tracker.get(state.id);
  if (own !== undefined) own.answeredTick = state.ticks;
  state.heartbeatElapsed++;
  if (state.electionElapsed >= electionTicks) {
    state.electionElapsed = 0;
    if (checkQuorum && !keepsQuorum(state)) return;
    // Whoever was to become leader had its time.
    state.transferee = 0;
  }
  if (state.heartbeatElapsed < heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  broadcastHeartbeat(state);
}

/** Steps down when no quorum was heard of since the last look (Ongaro 2014, section 6.2). */
function keepsQuorum(state: RaftState): boolean {
  if (!state.tracker.isQuorumActive()) {
    state.becomeFollower(state.term, 0);
    return false;
  }
  for (const [id, progress] of state.tracker.members)
    if (id !== state.id) progress.isActive = false;
  return true;
}
