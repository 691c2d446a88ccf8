import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  TaskFailureReason,
  type TaskMessage,
  TaskMessageSchema,
  TaskRefusalReason,
} from "../../wire/agent_mesh/v1/tasks_pb.ts";
import type { ContractMessage, FailureReason, RefuseReason } from "./messages.ts";
import { readMessage } from "./read-message.ts";

/** Largest input and largest output of a task on the wire, in bytes of UTF-8. */
export const CONTENT_BYTES_MAX = 65_536;
/** Largest message either way: an input or an output, with the names around it. */
export const MESSAGE_BYTES_MAX = 81_920;

const READ_OPTIONS = { readUnknownFields: false } as const;

const REFUSALS: Readonly<Record<RefuseReason, TaskRefusalReason>> = {
  "not-able": TaskRefusalReason.NOT_ABLE,
  "no-capacity": TaskRefusalReason.NO_CAPACITY,
  unwilling: TaskRefusalReason.UNWILLING,
  loop: TaskRefusalReason.LOOP,
  known: TaskRefusalReason.KNOWN,
  busy: TaskRefusalReason.BUSY,
  delegated: TaskRefusalReason.DELEGATED,
};
const FAILURES: Readonly<Record<FailureReason, TaskFailureReason>> = {
  failed: TaskFailureReason.FAILED,
  withdrawn: TaskFailureReason.WITHDRAWN,
  "no-capacity": TaskFailureReason.NO_CAPACITY,
  unknown: TaskFailureReason.UNKNOWN,
  expired: TaskFailureReason.EXPIRED,
};
const REFUSAL_NAMES = namesOf(REFUSALS);
const FAILURE_NAMES = namesOf(FAILURES);

type Body = TaskMessage["body"];

/** Encodes a word of the contract net; times are cut to whole milliseconds. */
export function encodeMessage(message: ContractMessage): Uint8Array {
  return toBinary(
    TaskMessageSchema,
    create(TaskMessageSchema, { call: message.call, body: bodyOf(message) }),
  );
}

/** @returns the word, within all bounds of the contract net; undefined when the bytes are none; never throws */
export function decodeMessage(bytes: Uint8Array): ContractMessage | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  try {
    const { call, body } = fromBinary(TaskMessageSchema, bytes, READ_OPTIONS);
    return readMessage({ call, ...wordOf(body) });
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

type BodyInit = NonNullable<MessageInitShape<typeof TaskMessageSchema>["body"]>;

function bodyOf(message: ContractMessage): BodyInit {
  switch (message.kind) {
    case "announce": {
      const { task, route, bidWithinMs, holdMs, expiresInMs } = message;
      return {
        case: "announcement",
        value: {
          task: { ...task, needs: [...task.needs] },
          route: { ...route, path: [...route.path] },
          bidWithinMs: Math.floor(bidWithinMs),
          holdMs: Math.floor(holdMs),
          expiresInMs: Math.floor(expiresInMs),
        },
      };
    }
    case "bid":
      return {
        case: "bid",
        value: { cost: message.cost, endsInMs: Math.ceil(message.endsInMs) },
      };
    case "refuse":
      return { case: "refusal", value: { reason: REFUSALS[message.reason] } };
    case "progress":
      return { case: "progress", value: { percent: message.percent } };
    case "result":
      return { case: "result", value: { output: message.output } };
    case "failure":
      return { case: "failure", value: { reason: FAILURES[message.reason] } };
    case "award":
      return { case: "award", value: {} };
    case "reject":
      return { case: "rejection", value: {} };
    case "accept":
      return { case: "acceptance", value: {} };
    case "cancel":
      return { case: "cancellation", value: {} };
    case "settle":
      break;
  }
  return { case: "settlement", value: {} };
}

/** Plain values, still to be checked. */
function wordOf(body: Body): Readonly<Record<string, unknown>> {
  switch (body.case) {
    case "announcement":
      return { kind: "announce", ...body.value };
    case "bid":
      return { kind: "bid", cost: body.value.cost, endsInMs: body.value.endsInMs };
    case "refusal":
      return { kind: "refuse", reason: REFUSAL_NAMES.get(body.value.reason) };
    case "progress":
      return { kind: "progress", percent: body.value.percent };
    case "result":
      return { kind: "result", output: body.value.output };
    case "failure":
      return { kind: "failure", reason: FAILURE_NAMES.get(body.value.reason) };
    case "award":
      return { kind: "award" };
    case "rejection":
      return { kind: "reject" };
    case "acceptance":
      return { kind: "accept" };
    case "cancellation":
      return { kind: "cancel" };
    case "settlement":
      return { kind: "settle" };
    case undefined:
      break;
  }
  return {};
}

function namesOf<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
): ReadonlyMap<number, string> {
  return new Map(Object.entries<number>(numbers).map(([name, number]) => [number, name]));
}
