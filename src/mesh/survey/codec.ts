import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type FleetAnswer,
  FleetAnswerSchema,
  FleetRequestSchema,
} from "../../wire/agent_mesh/v1/fleet_pb.ts";
import { RECORD_BYTES_MAX } from "../records/record-codec.ts";
import { ANSWER_RECORDS_MAX, FLEET_MESSAGE_BYTES_MAX } from "./bounds.ts";
import { KnownFilter } from "./known-filter.ts";

const READ_OPTIONS = { readUnknownFields: false } as const;

/** Some of the members that an agent knows, in parallel lists. */
export type AnswerWords = Pick<FleetAnswer, "records" | "agesS" | "suspect" | "members" | "more">;

/** @returns a request for those that the filter does not hold */
export function encodeRequest({ bytes, hashes, seed }: KnownFilter): Uint8Array {
  return toBinary(FleetRequestSchema, create(FleetRequestSchema, { known: bytes, hashes, seed }));
}

/** @returns what the asker knows; undefined when the bytes are no request, or break a bound; never throws */
export function decodeRequest(bytes: Uint8Array): KnownFilter | undefined {
  if (bytes.length > FLEET_MESSAGE_BYTES_MAX) return undefined;
  try {
    const { known, hashes, seed } = fromBinary(FleetRequestSchema, bytes, READ_OPTIONS);
    return KnownFilter.read(known, hashes, seed);
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Encodes an answer. */
export function encodeAnswer(words: AnswerWords): Uint8Array {
  return toBinary(FleetAnswerSchema, create(FleetAnswerSchema, words));
}

/** @returns the answer; undefined when the bytes are none, or break a bound; never throws */
export function decodeAnswer(bytes: Uint8Array): AnswerWords | undefined {
  if (bytes.length > FLEET_MESSAGE_BYTES_MAX) return undefined;
  try {
    const answer = fromBinary(FleetAnswerSchema, bytes, READ_OPTIONS);
    const { records, agesS, suspect } = answer;
    const sound =
      records.length <= ANSWER_RECORDS_MAX &&
      agesS.length === records.length &&
      suspect.length === records.length &&
      records.every((record) => record.length <= RECORD_BYTES_MAX);
    return sound ? answer : undefined;
  } catch {
    // As above.
    return undefined;
  }
}
