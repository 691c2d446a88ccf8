import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import {
  type LearningStatement,
  LearningStatementSchema,
  type LearningTasksMessage,
  LearningTasksMessageSchema,
  type LearningVersion,
} from "../../wire/agent_mesh/v1/learning_tasks_pb.ts";
import type { Statement, TaskVersion } from "./known-task.ts";
import { MANIFEST_BYTES_MAX } from "./manifest.ts";

const TASK_BYTES = 16;
/** A decision of a committee of 64 with its certificate takes 8 KiB. */
export const HEAD_BYTES_MAX = 16_384;
/** Manifest, control and head with what is around them. */
export const STATEMENT_BYTES_MAX = MANIFEST_BYTES_MAX + HEAD_BYTES_MAX + 1_024;
/** Largest message: what does not fit goes into another one. */
export const MESSAGE_BYTES_MAX = 2 * STATEMENT_BYTES_MAX;
/** Versions of a hello, tasks of a want, statements of a message. */
const ITEMS_MAX = 256;

const READ_OPTIONS = { readUnknownFields: false } as const;

/** What neighbours say to each other. */
export type TasksMessage =
  | { readonly kind: "hello"; readonly versions: readonly TaskVersion[] }
  | { readonly kind: "statements"; readonly statements: readonly Statement[] }
  | {
      readonly kind: "want";
      /** Everything of these. */
      readonly unknown: readonly string[];
      /** What is newer of these. */
      readonly versions: readonly TaskVersion[];
    };

/** Encodes a message that is small enough: see {@link portions}. */
export function encodeMessage(message: TasksMessage): Uint8Array {
  return toBinary(
    LearningTasksMessageSchema,
    create(LearningTasksMessageSchema, { body: bodyOf(message) }),
  );
}

/** @returns undefined for what is no message; never throws */
export function decodeMessage(bytes: Uint8Array): TasksMessage | undefined {
  try {
    return messageOf(fromBinary(LearningTasksMessageSchema, bytes, READ_OPTIONS));
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Encodes a statement for the store. */
export function encodeStatement(statement: Statement): Uint8Array {
  return toBinary(LearningStatementSchema, create(LearningStatementSchema, wireOf(statement)));
}

/** @returns undefined for what is none; never throws */
export function decodeStatement(bytes: Uint8Array): Statement | undefined {
  try {
    return statementOf(fromBinary(LearningStatementSchema, bytes, READ_OPTIONS));
  } catch {
    // As above.
    return undefined;
  }
}

/** Statements in as few messages as hold them. */
export function portions(statements: readonly Statement[]): TasksMessage[] {
  const messages: { kind: "statements"; statements: Statement[] }[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const statement of statements) {
    const size = sizeOf(statement);
    const last = messages.at(-1);
    if (last === undefined || bytes + size > MESSAGE_BYTES_MAX) {
      messages.push({ kind: "statements", statements: [statement] });
      bytes = size;
    } else {
      last.statements.push(statement);
      bytes += size;
    }
  }
  return messages;
}

function sizeOf({ manifest, control, head }: Statement): number {
  const parts = [manifest?.manifest, control?.control, head];
  return parts.reduce((sum, part) => sum + (part?.length ?? 0), 512);
}

function bodyOf(message: TasksMessage) {
  switch (message.kind) {
    case "hello":
      return {
        case: "hello",
        value: {
          versions: message.versions.map(wireVersionOf),
        },
      } as const;
    case "statements":
      return {
        case: "statements",
        value: { statements: message.statements.map(wireOf) },
      } as const;
    case "want":
      return {
        case: "want",
        value: {
          unknown: message.unknown.map(fromHex),
          versions: message.versions.map(wireVersionOf),
        },
      } as const;
    default:
      return message satisfies never;
  }
}

function wireOf({ task, manifest, control, head }: Statement) {
  return {
    task: fromHex(task),
    ...(manifest !== undefined && { manifest }),
    ...(control !== undefined && { control }),
    ...(head !== undefined && { head }),
  };
}

function messageOf({ body }: LearningTasksMessage): TasksMessage | undefined {
  switch (body.case) {
    case "hello": {
      const versions = versionsOf(body.value.versions);
      return versions && { kind: "hello", versions };
    }
    case "statements": {
      const statements = body.value.statements.map(statementOf);
      if (statements.length > ITEMS_MAX || statements.includes(undefined)) return undefined;
      return { kind: "statements", statements: statements as Statement[] };
    }
    case "want": {
      const { unknown } = body.value;
      const versions = versionsOf(body.value.versions);
      if (unknown.length > ITEMS_MAX || unknown.some(({ length }) => length !== TASK_BYTES))
        return undefined;
      return versions && { kind: "want", unknown: unknown.map(toHex), versions };
    }
    case undefined:
      return undefined;
    default:
      return body satisfies never;
  }
}

function wireVersionOf({ task, ...rest }: TaskVersion) {
  return { task: fromHex(task), ...rest };
}

function versionsOf(versions: readonly LearningVersion[]): TaskVersion[] | undefined {
  if (versions.length > ITEMS_MAX || versions.some(({ task }) => task.length !== TASK_BYTES))
    return undefined;
  return versions.map(({ task, serial, round }) => ({ task: toHex(task), serial, round }));
}

function statementOf({ task, manifest, control, head }: LearningStatement): Statement | undefined {
  if (task.length !== TASK_BYTES || head.length > HEAD_BYTES_MAX) return undefined;
  if ((manifest?.manifest.length ?? 0) > MANIFEST_BYTES_MAX) return undefined;
  return {
    task: toHex(task),
    ...(manifest !== undefined && { manifest }),
    ...(control !== undefined && { control }),
    ...(head.length > 0 && { head }),
  };
}
