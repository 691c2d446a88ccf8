import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type CommitteeRecord,
  CommitteeRecordSchema,
  CommitteeSignatureSchema,
} from "../../wire/agent_mesh/v1/committee_pb.ts";
import {
  type FounderSignature,
  type Founding,
  isPreferred,
  isSignedBy,
  readFounding,
} from "./founding.ts";
import { CHANGES_MAX } from "./message-codec.ts";

/** A committee whose record was checked from its founders to its members of today. Immutable. */
export interface KnownCommittee {
  readonly founding: Founding;
  /** Of all founders. */
  readonly signatures: readonly FounderSignature[];
  /** Decisions on its members, encoded, in their order. */
  readonly changes: readonly Uint8Array[];
  /** Who votes, as of the last change. Sorted. */
  readonly members: readonly PeerId[];
}

/** Checks changes of members against those before them. */
export interface ChangeFollower {
  /** @returns the members after the changes; undefined where one of them was not decided by those before it */
  follow(founding: Founding, changes: readonly Uint8Array[]): readonly PeerId[] | undefined;
}

/** Why a record is not believed. */
export type RecordFault = "malformed-record" | "unsigned-founding" | "forged-change";

/** @returns the record as it travels */
export function recordOf(
  signer: Signer,
  { founding, signatures, changes }: Omit<KnownCommittee, "members">,
): CommitteeRecord {
  return create(CommitteeRecordSchema, {
    founding: founding.bytes,
    signatures: signatures.map(({ founder, signature }) =>
      create(CommitteeSignatureSchema, {
        founder: signer.publicKeyOf(founder) ?? new Uint8Array(),
        signature,
      }),
    ),
    changes: [...changes],
  });
}

/** @returns the record as it is kept */
export function encodeRecord(signer: Signer, known: KnownCommittee): Uint8Array {
  return toBinary(CommitteeRecordSchema, recordOf(signer, known));
}

/** @returns what was kept, not checked anew; undefined for bytes that are no record */
export function decodeRecord(bytes: Uint8Array): CommitteeRecord | undefined {
  try {
    return fromBinary(CommitteeRecordSchema, bytes, { readUnknownFields: false });
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/**
 * Checks a record with nothing but itself: whether all founders signed, and each change was decided by the members before it.
 * @param before what is known already: changes that it has too are not checked again
 */
export function readRecord(
  signer: Signer,
  follower: ChangeFollower,
  record: CommitteeRecord,
  before?: KnownCommittee,
): KnownCommittee | RecordFault {
  const founding = readFounding(signer, record.founding);
  if (founding === undefined || record.changes.length > CHANGES_MAX) return "malformed-record";
  if (before?.founding.group === founding.group && record.changes.length <= before.changes.length)
    return before;
  const signatures = signaturesOf(signer, founding, record);
  if (signatures === undefined) return "unsigned-founding";
  const members = follower.follow(founding, record.changes);
  return members === undefined
    ? "forged-change"
    : { founding, signatures, changes: record.changes, members };
}

/** @returns whether the first is to be believed instead of the second: a later state of the same, or a committee that stays */
export function supersedes(one: KnownCommittee, other: KnownCommittee | undefined): boolean {
  if (other === undefined) return true;
  if (one.founding.group !== other.founding.group) return isPreferred(one.founding, other.founding);
  return one.changes.length > other.changes.length;
}

function signaturesOf(
  signer: Signer,
  founding: Founding,
  { signatures }: CommitteeRecord,
): readonly FounderSignature[] | undefined {
  if (signatures.length !== founding.founders.length) return undefined;
  const read: FounderSignature[] = [];
  for (const { founder: key, signature } of signatures) {
    if (key.length !== KEY_BYTES) return undefined;
    const signed = { founder: signer.peerIdOf(key), signature };
    if (!isSignedBy(signer, founding, signed)) return undefined;
    read.push(signed);
  }
  const founders = new Set(read.map(({ founder }) => founder));
  return founders.size === founding.founders.length ? read : undefined;
}

const KEY_BYTES = 32;
