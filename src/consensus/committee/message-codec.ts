import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Protocol } from "../../platform/network.ts";
import {
  type CommitteeAnswer,
  CommitteeAnswerSchema,
  type CommitteeRecord,
  type CommitteeRequest,
  CommitteeRequestSchema,
} from "../../wire/agent_mesh/v1/committee_pb.ts";

/** Changes of members that a record may hold: about one a day for three years. */
export const CHANGES_MAX = 1_024;

/** Carries what agents ask each other about the committee of their fleet. */
export const COMMITTEE_PROTOCOL: Protocol = {
  id: "/agent-mesh/committee/1.0.0",
  // A record with as many changes as there may be.
  messageBytesMax: 2 * 1_048_576,
  queueBytesMax: 4 * 1_048_576,
  requestsInFlightMax: 8,
};

/** What is asked. */
export type CommitteeQuestion = Exclude<CommitteeRequest["body"], { readonly case: undefined }>;
/** What is answered; without a case there is nothing to tell. */
export type CommitteeReply = CommitteeAnswer["body"];

/** Encodes a request. */
export function encodeRequest(body: CommitteeQuestion): Uint8Array {
  return toBinary(CommitteeRequestSchema, create(CommitteeRequestSchema, { body }));
}

/** @returns the request; undefined for bytes that are none; never throws */
export function decodeRequest(bytes: Uint8Array): CommitteeQuestion | undefined {
  try {
    const { body } = fromBinary(CommitteeRequestSchema, bytes, { readUnknownFields: false });
    return body.case === undefined || !isBounded(body) ? undefined : body;
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Encodes an answer. */
export function encodeAnswer(body: CommitteeReply): Uint8Array {
  return toBinary(CommitteeAnswerSchema, create(CommitteeAnswerSchema, { body }));
}

/** @returns the answer; undefined for bytes that are none; never throws */
export function decodeAnswer(bytes: Uint8Array): CommitteeReply | undefined {
  try {
    const { body } = fromBinary(CommitteeAnswerSchema, bytes, { readUnknownFields: false });
    return body.case === "record" && !isRecordBounded(body.value) ? undefined : body;
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

function isBounded(body: CommitteeQuestion): boolean {
  if (body.case === "record") return isRecordBounded(body.value);
  if (body.case === "admission")
    return body.value.record !== undefined && isRecordBounded(body.value.record);
  return true;
}

function isRecordBounded({ changes }: CommitteeRecord): boolean {
  return changes.length <= CHANGES_MAX;
}
