import { answerVote, countVote, learnCommit, startCampaign } from "./election.ts";
import type { LeaderMessage } from "./following.ts";
import { obey } from "./following.ts";
import {
  appendProposals,
  startTransfer,
  takeAppendResponse,
  takeHeartbeatResponse,
} from "./leader.ts";
import type { Message, ReadIndexResponse, TimeoutNow, VoteResponse } from "./message.ts";
import { messageFault } from "./message-check.ts";
import { takeRead } from "./read-index.ts";
import type { Refusal } from "./refusals.ts";
import type { RaftState } from "./state.ts";

type TermMessage = Extract<Message, { readonly term: number }>;

/** Requests: who is new is asked before it knows any member, and who was a learner may be a voter by now. */
const FROM_ANYBODY: ReadonlySet<Message["kind"]> = new Set<Message["kind"]>([
  "vote",
  "pre-vote",
  "append",
  "heartbeat",
  "snapshot",
  "timeout-now",
]);

/** Takes a message from a peer. @returns why it was refused, which is counted, if it was */
export function step(state: RaftState, message: Message): Refusal | undefined {
  const refusal = addressFault(state, message) ?? take(state, message);
  return refusal === undefined ? undefined : state.refuse(refusal);
}

/** Takes a message that is sound: of a peer, or this node's own. */
export function take(state: RaftState, message: Message): Refusal | undefined {
  if (message.kind === "propose")
    return state.role === "leader" ? appendProposals(state, message.entries) : "no-leader";
  if (message.kind === "read-index")
    return state.role === "leader" ? takeRead(state, message) : "no-leader";
  return settleTerm(state, message) ?? takeInTerm(state, message);
}

/** Answers, and what a leader is asked for, come from members only. */
function addressFault(state: RaftState, message: Message): Refusal | undefined {
  const fault = messageFault(message, state.options.acceptedBytesMax);
  if (fault !== undefined) return fault;
  if (message.to !== state.id) return "misdirected";
  if (message.from === state.id) return "own-message";
  if (FROM_ANYBODY.has(message.kind) || state.tracker.get(message.from) !== undefined)
    return undefined;
  return "unknown-sender";
}

/** Brings this node to the term of the message, or refuses it (Ongaro and Ousterhout 2014, section 5.1). */
function settleTerm(state: RaftState, message: TermMessage): Refusal | undefined {
  if (message.term < state.term) return answerStale(state, message);
  if (message.term === state.term) return undefined;
  const { kind, term, from } = message;
  if (kind === "vote" || kind === "pre-vote") {
    // Somebody that lost sight of the leader is no reason for others to give it up (Ongaro 2014, section 4.2.3).
    if (state.options.checkQuorum && state.isLeaderAlive && !message.transfer)
      return "leader-alive";
    if (kind === "pre-vote") return undefined;
  }
  // A granted pre-vote is of the term that would be campaigned for: nobody is there yet.
  if (kind === "pre-vote-response" && !message.reject) return undefined;
  const isFromLeader = kind === "append" || kind === "heartbeat" || kind === "snapshot";
  state.becomeFollower(term, isFromLeader ? from : 0);
  return undefined;
}

/**
 * Who is behind has to learn of the newer term, or a leader whose followers are ahead of it would be ignored by them for ever
 * (Ongaro and Ousterhout 2014, section 5.1).
 */
function answerStale(state: RaftState, { kind, from: to }: TermMessage): Refusal {
  const { id: from, term } = state;
  if (kind === "append" || kind === "heartbeat") {
    const answer = { index: 0, reject: false, rejectHint: 0, logTerm: 0 };
    state.promise({ kind: "append-response", from, to, term, ...answer });
  } else if (kind === "pre-vote") state.promiseVote("pre-vote-response", to, term, true);
  return "stale-term";
}

function takeInTerm(state: RaftState, message: TermMessage): Refusal | undefined {
  switch (message.kind) {
    case "vote":
    case "pre-vote":
      return answerVote(state, message);
    case "vote-response":
    case "pre-vote-response":
      return takeVoteResponse(state, message);
    case "append":
    case "heartbeat":
    case "snapshot":
      return takeFromLeader(state, message);
    case "timeout-now":
      return takeTimeoutNow(state, message);
    case "read-index-response":
      return takeReadResponse(state, message);
    case "transfer-leader":
      return state.role === "leader" ? startTransfer(state, message.target) : "no-leader";
    case "append-response":
    case "heartbeat-response":
      break;
  }
  return takeFromFollower(state, message);
}

function takeVoteResponse(state: RaftState, response: VoteResponse): undefined {
  learnCommit(state, response);
  if (state.role === "candidate" || state.role === "pre-candidate") countVote(state, response);
}

function takeFromLeader(state: RaftState, message: LeaderMessage): Refusal | undefined {
  const { from, term } = message;
  if (state.role === "leader" || (state.leader !== 0 && state.leader !== from))
    return "second-leader";
  if (state.role === "follower") {
    state.electionElapsed = 0;
    state.leader = from;
  } else state.becomeFollower(term, from);
  return obey(state, message);
}

function takeFromFollower(
  state: RaftState,
  message: Extract<Message, { kind: "append-response" | "heartbeat-response" }>,
): Refusal | undefined {
  const progress = state.tracker.get(message.from);
  if (state.role !== "leader" || progress === undefined) return undefined;
  return message.kind === "append-response"
    ? takeAppendResponse(state, progress, message)
    : takeHeartbeatResponse(state, progress, message);
}

function takeTimeoutNow(state: RaftState, { from }: TimeoutNow): Refusal | undefined {
  if (state.role !== "follower") return undefined;
  if (state.leader !== 0 && state.leader !== from) return "not-the-leader";
  return startCampaign(state, "transfer");
}

function takeReadResponse(state: RaftState, message: ReadIndexResponse): Refusal | undefined {
  const { from, index, context } = message;
  if (state.leader !== from) return "not-the-leader";
  state.answerRead({ from: state.id, context }, index);
  return undefined;
}
