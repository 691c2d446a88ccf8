import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  RolesAsk,
  type RolesMessage,
  RolesMessageSchema,
  SignedRoleAssignmentSchema,
} from "../../wire/agent_mesh/v1/roles_pb.ts";
import type { KnownAssignment } from "./assignment.ts";
import type { Renewal } from "./assignment-codec.ts";

/** Largest message either way: an assignment with its maker's record, and a sign of life. */
export const MESSAGE_BYTES_MAX = 8_192;

/** What a message says. */
export interface RolesWords {
  readonly renewal?: Renewal | undefined;
  readonly ageMs?: number;
  readonly assignment?: KnownAssignment;
  readonly ask?: "compare" | "send";
  readonly instead?: boolean;
}

const ASKS = { compare: RolesAsk.COMPARE, send: RolesAsk.SEND } as const;

/** Encodes a message. */
export function encodeMessage({
  renewal,
  ageMs,
  assignment,
  ask,
  instead,
}: RolesWords): Uint8Array {
  return toBinary(
    RolesMessageSchema,
    create(RolesMessageSchema, {
      ageMs: Math.max(0, Math.floor(ageMs ?? 0)),
      ask: ask === undefined ? RolesAsk.UNSPECIFIED : ASKS[ask],
      instead: instead === true,
      ...(renewal !== undefined && { renewal: renewal.signed }),
      ...(assignment !== undefined && {
        assignment: create(SignedRoleAssignmentSchema, {
          assignment: assignment.bytes,
          signature: assignment.signature,
        }),
      }),
    }),
  );
}

/** @returns the message, or undefined when it is none; never throws */
export function decodeMessage(bytes: Uint8Array): RolesMessage | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  try {
    const message = fromBinary(RolesMessageSchema, bytes, { readUnknownFields: false });
    // An assignment without a sign of life could not be told from one that has ended.
    return message.assignment !== undefined && message.renewal === undefined ? undefined : message;
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}
