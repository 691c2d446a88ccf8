import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { RecordFault } from "../../mesh/records/record-codec.ts";
import type { RecordVerifier } from "../../mesh/records/record-verifier.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type RoleAssignment,
  RoleAssignmentSchema,
  RoleReason,
  RoleRenewalSchema,
  type SignedRoleAssignment,
  type SignedRoleRenewal,
  SignedRoleRenewalSchema,
} from "../../wire/agent_mesh/v1/roles_pb.ts";
import {
  AGGREGATORS_MAX,
  type AssignmentName,
  type AssignmentReason,
  fingerprintOf,
  type KnownAssignment,
  type RoleChoice,
  VALIDATORS_MAX,
} from "./assignment.ts";
import { standingOf, suitabilityOf } from "./suitability.ts";

const ASSIGNMENT_PURPOSE = "agent-mesh/roles/1";
const RENEWAL_PURPOSE = "agent-mesh/roles-renewal/1";
/** Largest encoded RoleAssignment: a record, and a key for every role. */
const ASSIGNMENT_BYTES_MAX = 6_144;
const RENEWAL_BYTES_MAX = 64;
const KEY_BYTES = 32;
const READ_OPTIONS = { readUnknownFields: false } as const;

const REASONS: Readonly<Record<number, AssignmentReason>> = {
  [RoleReason.VACANT]: "vacant",
  [RoleReason.BETTER]: "better",
  [RoleReason.MEMBERS]: "members",
  [RoleReason.REBALANCED]: "rebalanced",
};
const REASON_NUMBERS: Readonly<Record<AssignmentReason, RoleReason>> = {
  vacant: RoleReason.VACANT,
  better: RoleReason.BETTER,
  members: RoleReason.MEMBERS,
  rebalanced: RoleReason.REBALANCED,
};

/** Why bytes are no assignment. `unfit-maker`: its own record says that it may not make one. */
export type AssignmentFault =
  | "malformed-assignment"
  | "forged-assignment"
  | "unfit-maker"
  | RecordFault;

/** A sign of life as it travels; its signature is checked by {@link isSigned}. */
export interface Renewal extends AssignmentName {
  readonly number: number;
  readonly resigned: boolean;
  readonly signed: SignedRoleRenewal;
}

/** Signs who has which role, with the maker's SignedRecord beside it. @throws Error when others would not take it */
export function signAssignment(
  signer: Signer,
  verifier: RecordVerifier,
  content: RoleChoice & {
    readonly term: number;
    readonly reason: AssignmentReason;
    readonly recordBytes: Uint8Array;
  },
): KnownAssignment {
  const keyOf = (peer: PeerId): Uint8Array => {
    const key = signer.publicKeyOf(peer);
    if (key === undefined) throw new Error(`${peer} names no Ed25519 key`);
    return key;
  };
  const assignment = toBinary(
    RoleAssignmentSchema,
    create(RoleAssignmentSchema, {
      term: BigInt(content.term),
      makerRecord: content.recordBytes,
      validators: content.validators.map(keyOf),
      aggregators: content.aggregators.map(keyOf),
      reason: REASON_NUMBERS[content.reason],
    }),
  );
  const signature = signer.sign(ASSIGNMENT_PURPOSE, assignment);
  const made = readAssignment(signer, verifier, { assignment, signature });
  if (typeof made === "string") throw new Error(`the own assignment is a ${made}`);
  return made;
}

/** Decodes, checks and verifies an assignment with its maker's record. Never throws. */
export function readAssignment(
  signer: Signer,
  verifier: RecordVerifier,
  { assignment: bytes, signature }: Pick<SignedRoleAssignment, "assignment" | "signature">,
): KnownAssignment | AssignmentFault {
  if (bytes.length > ASSIGNMENT_BYTES_MAX) return "malformed-assignment";
  let read: RoleAssignment;
  try {
    read = fromBinary(RoleAssignmentSchema, bytes, READ_OPTIONS);
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return "malformed-assignment";
  }
  const reason = REASONS[read.reason];
  const term = termOf(read.term);
  const validators = peersOf(signer, read.validators, VALIDATORS_MAX);
  const aggregators = peersOf(signer, read.aggregators, AGGREGATORS_MAX);
  if (
    reason === undefined ||
    term === undefined ||
    validators === undefined ||
    aggregators === undefined
  )
    return "malformed-assignment";
  const record = verifier.verify(read.makerRecord);
  if (typeof record === "string") return record;
  const standing = standingOf(record, true);
  const quorum = standing === "quorum";
  if (standing === "none" || (!quorum && validators.length > 0)) return "unfit-maker";
  if (validators.includes(record.peerId)) return "malformed-assignment";
  const key = signer.publicKeyOf(record.peerId);
  if (key === undefined || !signer.verify(key, ASSIGNMENT_PURPOSE, bytes, signature))
    return "forged-assignment";
  return Object.freeze({
    term,
    maker: record.peerId,
    quorum,
    score: suitabilityOf(record),
    validators: Object.freeze(validators),
    aggregators: Object.freeze(aggregators),
    reason,
    bytes,
    signature,
    record,
  });
}

/** Signs a sign of life of this agent's own assignment. */
export function signRenewal(
  signer: Signer,
  assignment: KnownAssignment,
  number: number,
  resigned: boolean,
): Renewal {
  const { term, maker } = assignment;
  const fingerprint = fingerprintOf(assignment);
  const renewal = toBinary(
    RoleRenewalSchema,
    create(RoleRenewalSchema, { term: BigInt(term), fingerprint, number, resigned }),
  );
  const signed = create(SignedRoleRenewalSchema, {
    publicKey: signer.publicKey,
    renewal,
    signature: signer.sign(RENEWAL_PURPOSE, renewal),
  });
  return { maker, term, fingerprint, number, resigned, signed };
}

/** Decodes a sign of life. @returns undefined when it is none; the signature is not looked at; never throws */
export function readRenewal(signer: Signer, signed: SignedRoleRenewal): Renewal | undefined {
  if (signed.publicKey.length !== KEY_BYTES || signed.renewal.length > RENEWAL_BYTES_MAX)
    return undefined;
  try {
    const { fingerprint, number, resigned, ...read } = fromBinary(
      RoleRenewalSchema,
      signed.renewal,
      READ_OPTIONS,
    );
    const term = termOf(read.term);
    if (term === undefined) return undefined;
    const maker = signer.peerIdOf(signed.publicKey);
    return { maker, term, fingerprint, number, resigned, signed };
  } catch {
    // As in readAssignment.
    return undefined;
  }
}

/** Whether the maker itself signed it. */
export function isSigned(signer: Signer, { signed }: Renewal): boolean {
  return signer.verify(signed.publicKey, RENEWAL_PURPOSE, signed.renewal, signed.signature);
}

function termOf(term: bigint): number | undefined {
  return term > 0n && term <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(term) : undefined;
}

function peersOf(signer: Signer, keys: readonly Uint8Array[], max: number): PeerId[] | undefined {
  if (keys.length > max || keys.some((key) => key.length !== KEY_BYTES)) return undefined;
  const peers = keys.map((key) => signer.peerIdOf(key));
  return new Set(peers).size === peers.length ? peers : undefined;
}
