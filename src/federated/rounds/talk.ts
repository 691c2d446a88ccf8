import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { Signer } from "../../platform/signer.ts";
import {
  type RoundsMessage,
  RoundsMessageSchema,
} from "../../wire/agent_mesh/v1/learning_rounds_pb.ts";
import { hashOf } from "./canonical.ts";
import { type Evidence, evidenceFields, evidenceIn } from "./evidence.ts";
import {
  DECISION_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  RECORD_BYTES_MAX,
  ROUNDS_MAX,
  TASK_BYTES,
  TASKS_WANTED_MAX,
  UPDATE_ALONG_BYTES_MAX,
} from "./limits.ts";
import { readWord, type TrainerWord } from "./trainer-word.ts";

/** Where a training begins. */
export interface Base {
  /** The round that the model came of; 0 for the first weights. */
  readonly baseRound: number;
  /** Of that model. */
  readonly baseHash: string;
}

/** What agents say to each other about rounds. */
export type RoundsTalk =
  /** The sender trains now, and will have a word. */
  | ({ readonly kind: "begun"; readonly task: string } & Base)
  /** `update`: the very bytes that the word speaks of, as their length says; whether they have its hash is not looked at here. */
  | { readonly kind: "word"; readonly word: TrainerWord; readonly update?: Uint8Array }
  /** The newest round of a task. `decision`: a certified decision, which is not looked at here. */
  | {
      readonly kind: "head";
      readonly task: string;
      readonly round: number;
      readonly decision: Uint8Array;
    }
  /** Asks for the heads of tasks. */
  | { readonly kind: "wanted"; readonly tasks: readonly string[] }
  /** A signed record for a member to propose; it is read by `readRecord`. */
  | { readonly kind: "submit"; readonly record: Uint8Array }
  | { readonly kind: "evidence"; readonly evidence: Evidence };

/** Encodes a message. */
export function encodeTalk(talk: RoundsTalk): Uint8Array {
  const update = talk.kind === "word" ? talk.update : undefined;
  const fields = { body: bodyOf(talk), ...(update !== undefined && { update }) };
  return toBinary(RoundsMessageSchema, create(RoundsMessageSchema, fields));
}

/** Reads a message; words and evidence in it were found signed. Never throws. @returns undefined for what is none */
export function decodeTalk(signer: Signer, bytes: Uint8Array): RoundsTalk | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  try {
    return talkOf(signer, fromBinary(RoundsMessageSchema, bytes, { readUnknownFields: false }));
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

function bodyOf(talk: RoundsTalk) {
  switch (talk.kind) {
    case "begun": {
      const { task, baseRound, baseHash } = talk;
      const value = { task: fromHex(task), baseRound, baseHash: fromHex(baseHash) };
      return { case: "begun", value } as const;
    }
    case "word":
      return { case: "word", value: talk.word.signed } as const;
    case "head": {
      const { task, round, decision } = talk;
      return { case: "head", value: { task: fromHex(task), round, decision } } as const;
    }
    case "wanted":
      return { case: "wanted", value: { tasks: talk.tasks.map(fromHex) } } as const;
    case "submit":
      return { case: "submission", value: { record: talk.record } } as const;
    case "evidence":
      return { case: "evidence", value: evidenceFields(talk.evidence) } as const;
    default:
      return talk satisfies never;
  }
}

function talkOf(signer: Signer, { body, update }: RoundsMessage): RoundsTalk | undefined {
  if (update.length > 0 && body.case !== "word") return undefined;
  switch (body.case) {
    case "begun": {
      const { task, baseRound } = body.value;
      const baseHash = hashOf(body.value.baseHash);
      if (task.length !== TASK_BYTES || baseHash === undefined || baseRound >= ROUNDS_MAX)
        return undefined;
      return { kind: "begun", task: toHex(task), baseRound, baseHash };
    }
    case "word": {
      const word = readWord(signer, body.value);
      if (typeof word === "string") return undefined;
      if (update.length === 0) return { kind: "word", word };
      const isThat = update.length === word.updateBytes && update.length <= UPDATE_ALONG_BYTES_MAX;
      return isThat ? { kind: "word", word, update: update.slice() } : undefined;
    }
    case "head": {
      const { task, round, decision } = body.value;
      if (task.length !== TASK_BYTES || round < 1 || round > ROUNDS_MAX) return undefined;
      if (decision.length < 1 || decision.length > DECISION_BYTES_MAX) return undefined;
      return { kind: "head", task: toHex(task), round, decision: decision.slice() };
    }
    case "wanted": {
      const { tasks } = body.value;
      if (tasks.length > TASKS_WANTED_MAX || tasks.some(({ length }) => length !== TASK_BYTES))
        return undefined;
      return { kind: "wanted", tasks: tasks.map(toHex) };
    }
    case "submission": {
      const { record } = body.value;
      if (record.length < 1 || record.length > RECORD_BYTES_MAX) return undefined;
      return { kind: "submit", record: record.slice() };
    }
    case "evidence": {
      const evidence = evidenceIn(signer, body.value);
      return evidence && { kind: "evidence", evidence };
    }
    case undefined:
    default:
      return undefined;
  }
}
