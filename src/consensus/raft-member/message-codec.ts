import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type RaftConfiguration,
  type RaftMessage,
  RaftMessageSchema,
  type RaftSnapshot,
  RaftSnapshotSchema,
} from "../../wire/agent_mesh/v1/raft_pb.ts";
import { type Configuration, isConfiguration, MEMBERS_MAX } from "../raft/configuration.ts";
import type { Snapshot } from "../raft/log-storage.ts";
import type { Message } from "../raft/message.ts";
import { decodeEntries, encodeEntries } from "./entry-codec.ts";
import { LOG_NUMBERS } from "./identity.ts";

/** Entries in one message, more than any that is made by the bytes it may have. */
const ENTRIES_MAX = 65_536;
const READ_OPTIONS = { readUnknownFields: false } as const;

/** Who speaks to whom, by numbers, and which log the speaker has. */
export interface Address {
  readonly from: number;
  readonly to: number;
  readonly log: number;
}

/** To who speaks under a number that is not its own any more. */
export interface Notice extends Address {
  readonly kind: "notice";
  /** With which it was heard. */
  readonly heardLog: number;
  /** The number is of another log than the one that was heard; false: it was removed. */
  readonly otherLog: boolean;
}

/** Of a founder, until all of them know each other's logs, and of who has no vote yet. */
export interface Greeting extends Address {
  readonly kind: "greeting";
  /** The founders' logs that it knows, by number, the first one at place 0; 0 where it has not heard of one. */
  readonly logs: readonly number[];
  /** A founder that hears it says what it knows. */
  readonly asks: boolean;
}

/** What a member hears: what its core says and is told, or what goes on beside that. */
export type Heard =
  | { readonly kind: "message"; readonly log: number; readonly message: Message }
  | Notice
  | Greeting;

type Body = RaftMessage["body"];
type Init = MessageInitShape<typeof RaftMessageSchema>;

/** Encodes what the core says. @param log of this member */
export function encodeMessage(log: number, message: Message): Uint8Array {
  const term = "term" in message ? message.term : 0;
  return encode({ from: message.from, to: message.to, log }, term, bodyOf(message));
}

/** Encodes what goes on beside the core. */
export function encodeAside(said: Notice | Greeting): Uint8Array {
  if (said.kind === "notice") {
    const { heardLog, otherLog } = said;
    const value = { heardLog: BigInt(heardLog), otherLog };
    return encode(said, 0, { case: "notice", value });
  }
  const value = { logs: said.logs.map(BigInt), asks: said.asks };
  return encode(said, 0, { case: "greeting", value });
}

/** @returns what was said, or undefined when it is nothing; never throws */
export function decodeHeard(bytes: Uint8Array): Heard | undefined {
  try {
    const read = fromBinary(RaftMessageSchema, bytes, READ_OPTIONS);
    const from = numberOf(read.from);
    const to = numberOf(read.to);
    const log = numberOf(read.log);
    if (log < 1 || log >= LOG_NUMBERS) return undefined;
    const { body } = read;
    if (body.case === "notice") {
      const { heardLog, otherLog } = body.value;
      return { kind: "notice", from, to, log, heardLog: numberOf(heardLog), otherLog };
    }
    if (body.case === "greeting") {
      const { logs, asks } = body.value;
      if (logs.length > MEMBERS_MAX) return undefined;
      return { kind: "greeting", from, to, log, logs: logs.map(numberOf), asks };
    }
    const message = messageOf({ from, to, term: numberOf(read.term) }, body);
    return message && { kind: "message", log, message };
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Encodes a snapshot to be stored. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  return toBinary(RaftSnapshotSchema, create(RaftSnapshotSchema, snapshotFields(snapshot)));
}

/** @returns what was stored, or undefined when it is none; never throws */
export function decodeSnapshot(bytes: Uint8Array): Snapshot | undefined {
  try {
    return snapshotOf(fromBinary(RaftSnapshotSchema, bytes, READ_OPTIONS));
  } catch {
    // As in decodeMessage.
    return undefined;
  }
}

function encode(
  { from, to, log }: Address,
  term: number,
  body: NonNullable<Init["body"]>,
): Uint8Array {
  const numbers = {
    from: BigInt(from),
    to: BigInt(to),
    log: BigInt(log),
    term: BigInt(term),
  };
  return toBinary(RaftMessageSchema, create(RaftMessageSchema, { ...numbers, body }));
}

function configurationFields(configuration: Configuration) {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  return {
    voters: voters.map(BigInt),
    outgoing: outgoing.map(BigInt),
    learners: learners.map(BigInt),
    learnersNext: learnersNext.map(BigInt),
    autoLeave,
  };
}

/** @returns the configuration; undefined when there can be no such one */
function configurationOf(read: RaftConfiguration | undefined): Configuration | undefined {
  if (read === undefined) return undefined;
  const configuration = {
    voters: read.voters.map(numberOf),
    outgoing: read.outgoing.map(numberOf),
    learners: read.learners.map(numberOf),
    learnersNext: read.learnersNext.map(numberOf),
    autoLeave: read.autoLeave,
  };
  return isConfiguration(configuration) ? configuration : undefined;
}

function bodyOf(message: Message): NonNullable<Init["body"]> {
  switch (message.kind) {
    case "vote":
    case "pre-vote": {
      const { index, logTerm, transfer } = message;
      const value = { index: BigInt(index), logTerm: BigInt(logTerm), transfer };
      return { case: message.kind === "vote" ? "vote" : "preVote", value };
    }
    case "vote-response":
    case "pre-vote-response": {
      const { reject, committed } = message;
      const [index, term] = [BigInt(committed?.index ?? 0), BigInt(committed?.term ?? 0)];
      const name = message.kind === "vote-response" ? "voteResponse" : "preVoteResponse";
      return { case: name, value: { reject, committed: index, committedTerm: term } };
    }
    case "append": {
      const { index, logTerm, commit, entries, quiet = false } = message;
      const place = { index: BigInt(index), logTerm: BigInt(logTerm), commit: BigInt(commit) };
      return { case: "append", value: { ...place, entries: encodeEntries(entries), quiet } };
    }
    case "append-response": {
      const { index, reject, rejectHint, logTerm } = message;
      const hint = { rejectHint: BigInt(rejectHint), logTerm: BigInt(logTerm) };
      return { case: "appendResponse", value: { index: BigInt(index), reject, ...hint } };
    }
    case "heartbeat": {
      const { commit, readRound, sentTick } = message;
      const round = { readRound: BigInt(readRound), sentTick: BigInt(sentTick) };
      return { case: "heartbeat", value: { commit: BigInt(commit), ...round } };
    }
    case "heartbeat-response": {
      const { readRound, sentTick } = message;
      const value = { readRound: BigInt(readRound), sentTick: BigInt(sentTick) };
      return { case: "heartbeatResponse", value };
    }
    case "snapshot":
      return { case: "snapshot", value: snapshotFields(message.snapshot) };
    case "timeout-now":
      return { case: "timeoutNow", value: {} };
    case "transfer-leader":
      return { case: "transfer", value: { target: BigInt(message.target) } };
    case "propose":
      return { case: "propose", value: { entries: encodeEntries(message.entries) } };
    case "read-index":
      return { case: "readIndex", value: { context: message.context } };
    case "read-index-response": {
      const { index, context } = message;
      return { case: "readIndexResponse", value: { index: BigInt(index), context } };
    }
    default:
      return message satisfies never;
  }
}

function messageOf(
  envelope: { readonly from: number; readonly to: number; readonly term: number },
  body: Body,
): Message | undefined {
  const { from, to } = envelope;
  switch (body.case) {
    case "vote":
    case "preVote": {
      const { index, logTerm, transfer } = body.value;
      const kind = body.case === "vote" ? "vote" : "pre-vote";
      return { ...envelope, kind, index: numberOf(index), logTerm: numberOf(logTerm), transfer };
    }
    case "voteResponse":
    case "preVoteResponse": {
      const { reject, committed: index, committedTerm: term } = body.value;
      const kind = body.case === "voteResponse" ? "vote-response" : "pre-vote-response";
      const committed = { index: numberOf(index), term: numberOf(term) };
      return { ...envelope, kind, reject, ...(index > 0n && { committed }) };
    }
    case "append": {
      const index = numberOf(body.value.index);
      const entries = decodeEntries(body.value.entries, index + 1, ENTRIES_MAX);
      if (entries === undefined) return undefined;
      const [logTerm, commit] = [numberOf(body.value.logTerm), numberOf(body.value.commit)];
      const quiet = body.value.quiet && { quiet: true };
      return { ...envelope, kind: "append", index, logTerm, commit, entries, ...quiet };
    }
    case "appendResponse": {
      const { index, reject, rejectHint, logTerm } = body.value;
      const hint = { rejectHint: numberOf(rejectHint), logTerm: numberOf(logTerm) };
      return { ...envelope, kind: "append-response", index: numberOf(index), reject, ...hint };
    }
    case "heartbeat": {
      const { commit, readRound, sentTick } = body.value;
      const round = { readRound: numberOf(readRound), sentTick: numberOf(sentTick) };
      return { ...envelope, kind: "heartbeat", commit: numberOf(commit), ...round };
    }
    case "heartbeatResponse": {
      const { readRound, sentTick } = body.value;
      const round = { readRound: numberOf(readRound), sentTick: numberOf(sentTick) };
      return { ...envelope, kind: "heartbeat-response", ...round };
    }
    case "snapshot": {
      const snapshot = snapshotOf(body.value);
      return snapshot && { ...envelope, kind: "snapshot", snapshot };
    }
    case "timeoutNow":
      return { ...envelope, kind: "timeout-now" };
    case "transfer":
      return { ...envelope, kind: "transfer-leader", target: numberOf(body.value.target) };
    case "propose": {
      const entries = decodeEntries(body.value.entries, 0, ENTRIES_MAX);
      return entries && { from, to, kind: "propose", entries };
    }
    case "readIndex":
      return { from, to, kind: "read-index", context: body.value.context };
    case "readIndexResponse": {
      const { index, context } = body.value;
      return { ...envelope, kind: "read-index-response", index: numberOf(index), context };
    }
    case "notice":
    case "greeting":
    case undefined:
    default:
      return undefined;
  }
}

function snapshotFields({ index, term, configuration, data }: Snapshot) {
  const fields = configurationFields(configuration);
  return { index: BigInt(index), term: BigInt(term), configuration: fields, data };
}

function snapshotOf(read: RaftSnapshot): Snapshot | undefined {
  const configuration = configurationOf(read.configuration);
  if (configuration === undefined) return undefined;
  const { data } = read;
  return { index: numberOf(read.index), term: numberOf(read.term), configuration, data };
}

/** The core refuses numbers that are not safe. */
function numberOf(value: bigint): number {
  return Number(value);
}
