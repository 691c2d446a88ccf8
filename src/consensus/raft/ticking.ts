import { startCampaign } from "./election.ts";
import { broadcastHeartbeat } from "./replication.ts";
import type { RaftState } from "./state.ts";

/**
 * Ticks until one in which something is done, if nothing comes in before: a heartbeat, a look at the quorum, a campaign.
 * @returns at least 1; infinite for who may not lead
 */
export function ticksUntilDue(state: RaftState): number {
  const { electionTicks, heartbeatTicks } = state.options;
  const { role, electionElapsed, electionTimeout, heartbeatElapsed } = state;
  let due = Number.POSITIVE_INFINITY;
  if (role === "leader")
    due = Math.min(electionTicks - electionElapsed, heartbeatTicks - heartbeatElapsed);
  else if (state.isPromotable) due = electionTimeout - electionElapsed;
  return Math.max(1, due);
}

/**
 * Lets ticks pass: a leader gives signs of life, others wait for one and campaign without it.
 * @param count the same as that many ticks one after the other
 */
export function tick(state: RaftState, count: number): void {
  for (let left = count; left > 0; ) {
    const quiet = Math.min(left, ticksUntilDue(state) - 1);
    if (quiet > 0) passQuietly(state, quiet);
    else passOne(state);
    left -= Math.max(1, quiet);
  }
}

/** Nothing is done in any of them. */
function passQuietly(state: RaftState, ticks: number): void {
  state.ticks += ticks;
  state.electionElapsed += ticks;
  if (state.role !== "leader") return;
  state.heartbeatElapsed += ticks;
  const own = state.tracker.get(state.id);
  if (own !== undefined) own.answeredTick = state.ticks;
}

function passOne(state: RaftState): void {
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
