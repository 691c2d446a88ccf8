import { changeOf } from "../../../src/consensus/raft/change.ts";
import type { Configuration } from "../../../src/consensus/raft/configuration.ts";
import type { Entry } from "../../../src/consensus/raft/entry.ts";
import type { HardState, Snapshot } from "../../../src/consensus/raft/log-storage.ts";
import type { AppendDone, ApplyDone, Message } from "../../../src/consensus/raft/message.ts";
import type { Ready, StorageAppend, StorageApply } from "../../../src/consensus/raft/ready.ts";
import type { Role } from "../../../src/consensus/raft/state.ts";
import type { MemberStatus } from "../../../src/consensus/raft/status.ts";
import { stepsText } from "./change-text.ts";

/** What goes between nodes, and comes back to a node from its own writers. */
export type Envelope = Message | AppendDone | ApplyDone;

const ROLES: Readonly<Record<Role, string>> = {
  follower: "StateFollower",
  "pre-candidate": "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};

const MODES: Readonly<Record<MemberStatus["mode"], string>> = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
};

const ENTRY_KINDS: Readonly<Record<Entry["kind"], string>> = {
  normal: "EntryNormal",
  "change-v1": "EntryConfChange",
  "change-v2": "EntryConfChangeV2",
};

const MESSAGE_KINDS: Readonly<Record<Envelope["kind"], string>> = {
  vote: "MsgVote",
  "pre-vote": "MsgPreVote",
  "vote-response": "MsgVoteResp",
  "pre-vote-response": "MsgPreVoteResp",
  append: "MsgApp",
  "append-response": "MsgAppResp",
  heartbeat: "MsgHeartbeat",
  "heartbeat-response": "MsgHeartbeatResp",
  snapshot: "MsgSnap",
  "timeout-now": "MsgTimeoutNow",
  "transfer-leader": "MsgTransferLeader",
  propose: "MsgProp",
  "read-index": "MsgReadIndex",
  "read-index-response": "MsgReadIndexResp",
  "append-done": "MsgStorageAppendResp",
  "apply-done": "MsgStorageApplyResp",
};

/** All that any message can say, in the words of the scripts. */
interface Line {
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly term?: number;
  readonly logTerm?: number;
  readonly index?: number;
  readonly reject?: boolean;
  readonly rejectHint?: number;
  readonly commit?: number;
  readonly vote?: number;
  readonly entries?: readonly Entry[];
  readonly snapshot?: Snapshot | undefined;
  readonly responses?: readonly Envelope[];
}

export function roleText(role: Role): string {
  return ROLES[role];
}

export function readyText(ready: Ready, id: number): string {
  const lines: string[] = [];
  const { softState, hardState, entries, snapshot, committed, readStates } = ready;
  if (softState) lines.push(`Lead:${softState.leader} State:${ROLES[softState.role]}`);
  if (hardState) lines.push(`HardState ${hardStateText(hardState)}`);
  if (readStates.length > 0) {
    const states = readStates.map(({ index, context }) => `{${index} [${context.join(" ")}]}`);
    lines.push(`ReadStates [${states.join(" ")}]`);
  }
  if (entries.length > 0) lines.push("Entries:", ...entries.map(entryText));
  if (snapshot) lines.push(`Snapshot ${snapshotText(snapshot)}`);
  if (committed.length > 0) lines.push("CommittedEntries:", ...committed.map(entryText));
  const messages = [...ready.messages, ...ready.promises].map((one) => envelopeText(one));
  if (ready.append) messages.push(appendText(ready.append, id, true));
  if (ready.apply) messages.push(applyText(ready.apply, id, true));
  if (messages.length > 0) lines.push("Messages:", ...messages);
  if (lines.length === 0) return "<empty Ready>";
  return [`Ready MustSync=${ready.mustSync}:`, ...lines].join("\n");
}

export function entryText(entry: Entry): string {
  const change = changeOf(entry);
  const text = change
    ? stepsText(change.steps)
    : JSON.stringify(Buffer.from(entry.data).toString());
  const kind = ENTRY_KINDS[entry.kind];
  return `${entry.term}/${entry.index} ${kind}${text === "" ? "" : ` ${text}`}`;
}

export function envelopeText(envelope: Envelope, indent = ""): string {
  const type = MESSAGE_KINDS[envelope.kind];
  const to = String(envelope.to);
  if (envelope.kind === "append-done")
    return lineText({ ...envelope, type, from: "AppendThread", to }, indent);
  if (envelope.kind === "apply-done")
    return lineText({ ...envelope, type, from: "ApplyThread", to }, indent);
  const from = String(envelope.from);
  if (envelope.kind !== "propose") return lineText({ ...envelope, type, from, to }, indent);
  const entries = envelope.entries.map((entry) => ({ term: 0, index: 0, ...entry }));
  return lineText({ type, from, to, entries }, indent);
}

export function appendText(append: StorageAppend, id: number, withResponses: boolean): string {
  const { hardState, entries, snapshot, responses } = append;
  return lineText({
    from: String(id),
    to: "AppendThread",
    type: "MsgStorageAppend",
    ...hardState,
    entries,
    snapshot,
    responses: withResponses ? responses : [],
  });
}

export function applyText(apply: StorageApply, id: number, withResponses: boolean): string {
  const responses = withResponses ? [apply.response] : [];
  const { entries } = apply;
  return lineText({
    from: String(id),
    to: "ApplyThread",
    type: "MsgStorageApply",
    entries,
    responses,
  });
}

/** In the order of a configuration in the changer's scripts. */
export function configurationText(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  const parts = [`voters=${idsText(voters)}`];
  if (outgoing.length > 0) parts[0] += `&&${idsText(outgoing)}`;
  if (learners.length > 0) parts.push(`learners=${idsText(learners)}`);
  if (learnersNext.length > 0) parts.push(`learners_next=${idsText(learnersNext)}`);
  if (autoLeave) parts.push("autoleave");
  return parts.join(" ");
}

/** @param member of whom nothing but a part may be known */
export function memberText(member: MemberStatus): string {
  const parts = [`${MODES[member.mode]} match=${member.match} next=${member.next}`];
  if (member.isLearner) parts.push("learner");
  if (member.isPaused) parts.push("paused");
  if (member.pendingSnapshot > 0) parts.push(`pendingSnap=${member.pendingSnapshot}`);
  if (!member.isActive) parts.push("inactive");
  if (member.inflightCount > 0)
    parts.push(`inflight=${member.inflightCount}${member.isFull ? "[full]" : ""}`);
  return parts.join(" ");
}

function lineText(line: Line, indent = ""): string {
  const { from, to, type, term = 0, logTerm = 0, index = 0, reject, rejectHint = 0 } = line;
  const { commit = 0, vote = 0, entries = [], snapshot, responses = [] } = line;
  let text = `${indent}${from}->${to} ${type} Term:${term} Log:${logTerm}/${index}`;
  if (reject) text += ` Rejected (Hint: ${rejectHint})`;
  if (commit !== 0) text += ` Commit:${commit}`;
  if (vote !== 0) text += ` Vote:${vote}`;
  const [first] = entries;
  if (first && entries.length === 1) text += ` Entries:[${entryText(first)}]`;
  else if (first) {
    const all = entries.map((entry) => `\n${indent}  ${entryText(entry)}`);
    text += ` Entries:[${all.join("")}\n${indent}]`;
  }
  if (snapshot) text += `\n${indent}  Snapshot: ${snapshotText(snapshot)}`;
  if (responses.length > 0) {
    const all = responses.map((response) => `\n${envelopeText(response, `${indent}  `)}`);
    text += ` Responses:[${all.join("")}\n${indent}]`;
  }
  return text;
}

function hardStateText({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

function snapshotText({ index, term, configuration }: Snapshot): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  const list = (ids: readonly number[]): string => `[${ids.join(" ")}]`;
  const members = `Voters:${list(voters)} VotersOutgoing:${list(outgoing)} Learners:${list(learners)}`;
  const rest = `LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;
  return `Index:${index} Term:${term} ConfState:${members} ${rest}`;
}

function idsText(ids: readonly number[]): string {
  return `(${ids.join(" ")})`;
}
