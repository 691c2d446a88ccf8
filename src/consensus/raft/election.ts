import { isChangeKind } from "./change.ts";
import { voterIds } from "./configuration.ts";
import type { VoteRequest, VoteResponse } from "./message.ts";
import type { Refusal } from "./refusals.ts";
import { broadcastAppend } from "./replication.ts";
import type { RaftState } from "./state.ts";
import { TERM_MAX } from "./state.ts";

/**
 * What a campaign is. `pre-election`: asks whether it could win; `election`: asks for votes; `transfer`: the leader wants
 * it, so nobody is asked first and a leader that is alive is no reason against it.
 */
export type Campaign = "pre-election" | "election" | "transfer";

/** Begins a campaign, unless this node leads already or may not lead. */
export function startCampaign(state: RaftState, campaign: Campaign): Refusal | undefined {
  if (state.role === "leader") return undefined;
  if (!state.isPromotable) return "unpromotable";
  if (state.term >= TERM_MAX) return "terms-exhausted";
  // It would ask the wrong quorum.
  if (state.log.hasUnapplied(({ kind }) => isChangeKind(kind))) return "unapplied-change";
  campaignNow(state, campaign);
  return undefined;
}

/** Gives a vote or refuses it (Ongaro and Ousterhout 2014, sections 5.2 and 5.4.1). A learner may be a voter by now. */
export function answerVote(state: RaftState, request: VoteRequest): undefined {
  const { kind, from, term, index, logTerm } = request;
  const { log } = state;
  const isFree = state.vote === 0 && state.leader === 0;
  const isEarly = kind === "pre-vote" && term > state.term;
  const isGranted =
    (state.vote === from || isFree || isEarly) && log.isUpToDate({ index, term: logTerm });
  // The term of the request, which for a granted pre-vote is not that of the voter.
  state.promiseVote(responseKind(kind), from, isGranted ? term : state.term, !isGranted);
  if (!isGranted || kind === "pre-vote") return undefined;
  state.electionElapsed = 0;
  state.vote = from;
  return undefined;
}

/** Counts a vote, and does what follows. Answers to another kind of campaign than the one under way are of the past. */
export function countVote(state: RaftState, response: VoteResponse): void {
  const isPreVote = response.kind === "pre-vote-response";
  if (isPreVote !== (state.role === "pre-candidate")) return;
  state.tracker.recordVote(response.from, !response.reject);
  const { outcome } = state.tracker.tally();
  if (outcome === "lost") state.becomeFollower(state.term, 0);
  else if (outcome === "won") {
    if (isPreVote) campaignNow(state, "election");
    else {
      state.becomeLeader();
      broadcastAppend(state);
    }
  }
}

/**
 * A voter may know of a commit that the candidate has and does not know of. If that is a change of members, the candidate
 * asks the wrong quorum: somebody who may not lead any more, and whose log is longer, would refuse it for ever.
 */
export function learnCommit(state: RaftState, response: VoteResponse): void {
  const { committed } = response;
  const { log } = state;
  if (committed === undefined || state.role === "leader" || !log.tryCommit(committed)) return;
  if (state.role !== "follower" && log.hasUnapplied(({ kind }) => isChangeKind(kind)))
    state.becomeFollower(state.term, 0);
}

function campaignNow(state: RaftState, campaign: Campaign): void {
  const isPreVote = campaign === "pre-election";
  if (isPreVote) state.becomePreCandidate();
  else state.becomeCandidate();
  const kind = isPreVote ? "pre-vote" : "vote";
  const term = isPreVote ? state.term + 1 : state.term;
  const { id: from, log } = state;
  const { index, term: logTerm } = log.last;
  const transfer = campaign === "transfer";
  for (const to of voterIds(state.tracker.configuration)) {
    // Its own vote counts when it is durable, as that of others.
    if (to === from) state.promiseVote(responseKind(kind), to, term, false);
    else state.send({ kind, from, to, term, index, logTerm, transfer });
  }
}

function responseKind(kind: VoteRequest["kind"]): VoteResponse["kind"] {
  return kind === "vote" ? "vote-response" : "pre-vote-response";
}
