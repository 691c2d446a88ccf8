import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Protocol } from "../../platform/network.ts";
import {
  type RelayAnswer,
  RelayAnswerSchema,
  type RelayMark,
  type RelayRequest,
  RelayRequestSchema,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import type { StreamProgress } from "./guest.ts";

/** Largest batch, in bytes of the wire. */
export const BATCH_BYTES_MAX = 1_048_576;
const REASON_MAX = 256;

/** What guests ask of hosts. */
export const RELAY_PROTOCOL: Protocol = {
  id: "/agent-mesh/relay/1.0.0",
  messageBytesMax: BATCH_BYTES_MAX + 65_536,
  queueBytesMax: 4 * BATCH_BYTES_MAX,
  requestsInFlightMax: 8,
};

/** @returns a request as it travels */
export function encodeRequest(
  body: NonNullable<MessageInitShape<typeof RelayRequestSchema>["body"]>,
): Uint8Array {
  return toBinary(RelayRequestSchema, create(RelayRequestSchema, { body }));
}

/** @returns what is asked; undefined for bytes that are no request */
export function decodeRequest(bytes: Uint8Array): RelayRequest["body"] | undefined {
  try {
    return fromBinary(RelayRequestSchema, bytes).body;
  } catch {
    return undefined;
  }
}

/** @returns an answer as it travels */
export function encodeAnswer(
  body: NonNullable<MessageInitShape<typeof RelayAnswerSchema>["body"]>,
): Uint8Array {
  return toBinary(RelayAnswerSchema, create(RelayAnswerSchema, { body }));
}

/** @returns what is answered; undefined for bytes that are no answer */
export function decodeAnswer(bytes: Uint8Array): RelayAnswer["body"] | undefined {
  try {
    return fromBinary(RelayAnswerSchema, bytes).body;
  } catch {
    return undefined;
  }
}

/** @returns how far a stream has come, as it is told */
export function markOf(progress: StreamProgress): RelayMark {
  const { agentId, stream, settledThrough, settledObservedAtMs, dead } = progress;
  return {
    $typeName: "agent_mesh.v1.RelayMark",
    agentId,
    stream,
    settled: BigInt(settledThrough),
    observedAtMs: BigInt(settledObservedAtMs),
    dead: dead.map(({ sequence, reason }) => ({
      $typeName: "agent_mesh.v1.RelayDeadUpdate",
      sequence: BigInt(sequence),
      reason: reason.slice(0, REASON_MAX),
    })),
  };
}
