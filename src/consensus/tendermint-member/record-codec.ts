import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fromHex } from "../../platform/hex.ts";
import {
  type TendermintRecord,
  TendermintRecordSchema,
} from "../../wire/agent_mesh/v1/tendermint_pb.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import type { WalEntry } from "../tendermint/wal.ts";
import {
  certificateFields,
  certificateOf,
  digestOf,
  numberOf,
  offerFields,
  offerOf,
  proposalFields,
  proposalOf,
  voteFields,
  voteOf,
} from "./fields.ts";
import type { Offer } from "./offer.ts";

/** A state with what proves it, as it is stored. */
export interface ProvenState {
  readonly offer: Offer;
  readonly state: Uint8Array;
}

/** What a member stores. */
export type StoredRecord =
  | WalEntry
  | ({ readonly kind: "snapshot" } & ProvenState)
  | { readonly kind: "evidence"; readonly evidence: Evidence };

type Init = NonNullable<MessageInitShape<typeof TendermintRecordSchema>["entry"]>;

/** Encodes what is stored under one key. */
export function encodeRecord(record: StoredRecord): Uint8Array {
  return toBinary(
    TendermintRecordSchema,
    create(TendermintRecordSchema, { entry: entryOf(record) }),
  );
}

/** @returns what was stored, or undefined when it can not be read; never throws */
export function decodeRecord(bytes: Uint8Array): StoredRecord | undefined {
  try {
    return recordOf(fromBinary(TendermintRecordSchema, bytes, { readUnknownFields: false }).entry);
  } catch {
    // What is wrong depends on the bytes; to us it is all the same.
    return undefined;
  }
}

function entryOf(record: StoredRecord): Init {
  switch (record.kind) {
    case "height": {
      const { height, validators, proposer } = record;
      const turns = validators.map(({ id, power, priority }) => ({
        validator: id,
        power: BigInt(power),
        priority: BigInt(priority),
      }));
      return { case: "height", value: { height: BigInt(height), turns, proposer } };
    }
    case "value": {
      const { height, valueId, value } = record;
      return { case: "value", value: { height: BigInt(height), valueId: fromHex(valueId), value } };
    }
    case "entrance":
      return { case: "entrance", value: { votes: record.votes.map(voteFields) } };
    case "polka":
      return { case: "polka", value: certificateFields(record.certificate) };
    case "proposal":
      return { case: "proposal", value: proposalFields(record.proposal) };
    case "vote":
      return { case: "vote", value: voteFields(record.vote) };
    case "decision": {
      const { certificate, value } = record;
      return { case: "decision", value: { certificate: certificateFields(certificate), value } };
    }
    case "snapshot":
      return {
        case: "snapshot",
        value: { offer: offerFields(record.offer), state: record.state },
      };
    case "evidence":
    default: {
      const { evidence } = record;
      return evidence.kind === "votes"
        ? {
            case: "evidence",
            value: { votes: [voteFields(evidence.first), voteFields(evidence.second)] },
          }
        : {
            case: "evidence",
            value: { proposals: [evidence.first, evidence.second].map(proposalFields) },
          };
    }
  }
}

function recordOf(entry: TendermintRecord["entry"]): StoredRecord | undefined {
  switch (entry.case) {
    case "height": {
      const { height, turns, proposer } = entry.value;
      const validators = turns.map(({ validator, power, priority }) => ({
        id: validator,
        power: numberOf(power),
        priority: numberOf(priority),
      }));
      return { kind: "height", height: numberOf(height), validators, proposer };
    }
    case "value": {
      const { height, valueId, value } = entry.value;
      return { kind: "value", height: numberOf(height), valueId: digestOf(valueId), value };
    }
    case "entrance": {
      const votes = entry.value.votes.map(voteOf);
      const [first] = votes;
      return first && { kind: "entrance", height: first.height, votes };
    }
    case "polka":
      return { kind: "polka", certificate: certificateOf(entry.value) };
    case "proposal":
      return { kind: "proposal", proposal: proposalOf(entry.value) };
    case "vote":
      return { kind: "vote", vote: voteOf(entry.value) };
    case "decision": {
      const certificate = certificateOf(entry.value.certificate);
      return { kind: "decision", certificate, value: entry.value.value };
    }
    case "snapshot":
      return {
        kind: "snapshot",
        offer: offerOf(entry.value.offer),
        state: entry.value.state,
      };
    case "evidence": {
      const [first, second] = entry.value.votes.map(voteOf);
      if (first !== undefined && second !== undefined)
        return { kind: "evidence", evidence: { kind: "votes", first, second } };
      const [one, other] = entry.value.proposals.map(proposalOf);
      return (
        one &&
        other && {
          kind: "evidence",
          evidence: { kind: "proposals", first: one, second: other },
        }
      );
    }
    case undefined:
    default:
      return undefined;
  }
}
