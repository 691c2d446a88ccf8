import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fromHex } from "../../platform/hex.ts";
import type { Protocol } from "../../platform/network.ts";
import {
  TendermintMessageSchema,
  type TendermintMessage as WireMessage,
} from "../../wire/agent_mesh/v1/tendermint_pb.ts";
import type { AskedParts, TendermintMessage } from "../tendermint/messages.ts";
import {
  certificateFields,
  certificateOf,
  digestOf,
  manifestFields,
  manifestOf,
  numberOf,
  offerFields,
  offerOf,
  pieceFields,
  pieceOf,
  present,
  proposalFields,
  proposalOf,
  voteFields,
  voteOf,
} from "./fields.ts";
import type { GroupMessage } from "./messages.ts";
import { decodeOperations, encodeOperations } from "./operation.ts";

/** Carries what members of Tendermint groups say to each other. */
export const TENDERMINT_PROTOCOL: Protocol = {
  id: "/agent-mesh/tendermint/1.0.0",
  // A part of the largest state.
  messageBytesMax: 8 * 1_048_576,
  queueBytesMax: 16 * 1_048_576,
  requestsInFlightMax: 1,
};

/** Of one message of the pool. */
export const POOL_OPERATIONS_MAX = 4_096;
const READ_OPTIONS = { readUnknownFields: false } as const;

type Body = WireMessage["body"];
type CoreBody = Extract<Body, { case: TendermintMessage["kind"] }>;
type Init = NonNullable<MessageInitShape<typeof TendermintMessageSchema>["body"]>;

/** Encodes a message, without the group. */
export function encodeMessage(message: GroupMessage): Uint8Array {
  const body = message.kind === "core" ? coreBody(message.message) : houseBody(message);
  return toBinary(TendermintMessageSchema, create(TendermintMessageSchema, { body }));
}

/** @returns the message, its numbers unchecked, or undefined when it is none; never throws */
export function decodeMessage(bytes: Uint8Array): GroupMessage | undefined {
  try {
    return messageOf(fromBinary(TendermintMessageSchema, bytes, READ_OPTIONS).body);
  } catch {
    // What is wrong depends on the bytes; to us it is all the same.
    return undefined;
  }
}

function coreBody(message: TendermintMessage): Init {
  switch (message.kind) {
    case "proposal": {
      const { proposal, manifest, value, polka } = message;
      const fields = {
        word: proposalFields(proposal),
        manifest: manifestFields(manifest),
        ...(value !== undefined && { value }),
        ...(polka !== undefined && { polka: certificateFields(polka) }),
      };
      return { case: "proposal", value: fields };
    }
    case "part": {
      const { height, valueId, part } = message;
      const place = { height: BigInt(height), valueId: fromHex(valueId) };
      return { case: "part", value: { ...place, piece: pieceFields(part) } };
    }
    case "polka":
      return { case: "polka", value: certificateFields(message.certificate) };
    case "votes":
      return { case: "votes", value: { votes: message.votes.map(voteFields) } };
    case "decision": {
      const { certificate, manifest, value } = message;
      const fields = {
        certificate: certificateFields(certificate),
        manifest: manifestFields(manifest),
        ...(value !== undefined && { value }),
      };
      return { case: "decision", value: fields };
    }
    case "ask":
    default: {
      const { height, parts } = message;
      const fields = {
        height: BigInt(height),
        ...(parts && { valueId: fromHex(parts.valueId), indexes: [...parts.indexes] }),
      };
      return { case: "ask", value: fields };
    }
  }
}

function houseBody(message: Exclude<GroupMessage, { kind: "core" }>): Init {
  switch (message.kind) {
    case "pool":
      return { case: "pool", value: { operations: encodeOperations(message.operations) } };
    case "join": {
      const { body, issuer, signature } = message.ticket;
      const ticket = { body, issuer, signature };
      return { case: "join", value: { ticket, height: BigInt(message.height) } };
    }
    case "offer":
      return { case: "offer", value: offerFields(message.offer) };
    case "state-ask": {
      const { digest, indexes } = message;
      return { case: "stateAsk", value: { digest: fromHex(digest), indexes: [...indexes] } };
    }
    case "state-part":
    default: {
      const { digest, part } = message;
      const fields = { digest: fromHex(digest), piece: pieceFields(part) };
      return { case: "statePart", value: fields };
    }
  }
}

/** @throws FieldError */
function messageOf(body: Body): GroupMessage | undefined {
  switch (body.case) {
    case "pool": {
      const operations = decodeOperations(body.value.operations, POOL_OPERATIONS_MAX);
      return operations && { kind: "pool", operations };
    }
    case "join": {
      const { body: ticketBody, issuer, signature } = present(body.value.ticket);
      const ticket = { body: ticketBody, issuer, signature };
      return { kind: "join", ticket, height: numberOf(body.value.height) };
    }
    case "offer":
      return { kind: "offer", offer: offerOf(body.value) };
    case "stateAsk": {
      const { digest, indexes } = body.value;
      return { kind: "state-ask", digest: digestOf(digest), indexes };
    }
    case "statePart": {
      const { digest, piece } = body.value;
      return { kind: "state-part", digest: digestOf(digest), part: pieceOf(piece) };
    }
    case "proposal":
    case "part":
    case "polka":
    case "votes":
    case "decision":
    case "ask":
      return { kind: "core", message: coreOf(body) };
    case undefined:
    default:
      return undefined;
  }
}

/** @throws FieldError */
function coreOf(body: CoreBody): TendermintMessage {
  switch (body.case) {
    case "proposal": {
      const { word, manifest, value, polka } = body.value;
      return {
        kind: "proposal",
        proposal: proposalOf(word),
        manifest: manifestOf(manifest),
        ...(value !== undefined && { value }),
        ...(polka !== undefined && { polka: certificateOf(polka) }),
      };
    }
    case "part": {
      const { height, valueId, piece } = body.value;
      const place = { height: numberOf(height), valueId: digestOf(valueId) };
      return { kind: "part", ...place, part: pieceOf(piece) };
    }
    case "polka":
      return { kind: "polka", certificate: certificateOf(body.value) };
    case "votes":
      return { kind: "votes", votes: body.value.votes.map(voteOf) };
    case "decision": {
      const { certificate, manifest, value } = body.value;
      return {
        kind: "decision",
        certificate: certificateOf(certificate),
        manifest: manifestOf(manifest),
        ...(value !== undefined && { value }),
      };
    }
    case "ask":
    default: {
      const { height, valueId, indexes } = body.value;
      if (valueId.length === 0) return { kind: "ask", height: numberOf(height) };
      const parts: AskedParts = { valueId: digestOf(valueId), indexes };
      return { kind: "ask", height: numberOf(height), parts };
    }
  }
}
