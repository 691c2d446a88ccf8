import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Hasher } from "../../platform/hasher.ts";
import { fromHex, putHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  CertifiedDecisionSchema,
  type CertifiedDecision as WireDecision,
} from "../../wire/agent_mesh/v1/agreement_pb.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { quorumOf } from "../ordering/quorum.ts";
import { ID_BYTES, MEMBERS_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import { keyOf, type MemberList, peerOf } from "./member-list.ts";
import { isTopic } from "./word.ts";

const PURPOSE = "agent-mesh/consensus/decision/1";
const NUMBER_BYTES = 8;
const DIGEST_BYTES = 32;

/** What members put their names to: that this value was accepted, as which decision of the group. */
export interface Statement {
  /** 32 hexadecimal digits, as the id of the proposal. */
  readonly group: string;
  /** Of the members that sign. */
  readonly epoch: number;
  /** Of the decision, from 1. */
  readonly number: number;
  readonly proposalId: string;
  readonly topic: string;
  /** SHA-256 of the value, 64 hexadecimal digits. */
  readonly digest: string;
}

/** One member's name under a statement. */
export interface DecisionSignature {
  readonly signer: PeerId;
  readonly signature: Uint8Array;
}

/** A statement under the names of a quorum: whoever knows the members can check it alone. Immutable. */
export interface Certificate extends Statement {
  readonly signatures: readonly DecisionSignature[];
}

/** A value, and the proof that a group accepted it. */
export interface CertifiedDecision {
  readonly value: Uint8Array;
  readonly certificate: Certificate;
}

/** What a certificate is held against. */
export interface Authority {
  readonly group: string;
  readonly protocol: OrderingProtocol;
  readonly list: MemberList;
}

/** Why a certificate proves nothing. */
export type CertificateFault =
  | "other-group"
  | "other-epoch"
  | "too-few-signatures"
  | "repeated-signer"
  | "not-a-member"
  | "forged"
  | "other-value";

/** Gives one's name to a decision. */
export function signStatement(signer: Signer, statement: Statement): DecisionSignature {
  return { signer: signer.peerId, signature: signer.sign(PURPOSE, bytesOf(statement)) };
}

/** @returns whether the signer signed the statement; never throws */
export function isSignedBy(
  verifier: Pick<Signer, "verify" | "publicKeyOf">,
  statement: Statement,
  { signer, signature }: DecisionSignature,
): boolean {
  const key = verifier.publicKeyOf(signer);
  return key !== undefined && verifier.verify(key, PURPOSE, bytesOf(statement), signature);
}

/** What anybody checks that knows the members. Never throws. @returns undefined when the group did accept it */
export function faultOfCertificate(
  certificate: Certificate,
  { group, protocol, list }: Authority,
  verifier: Pick<Signer, "verify" | "publicKeyOf">,
): CertificateFault | undefined {
  const { signatures } = certificate;
  if (certificate.group !== group) return "other-group";
  if (certificate.epoch !== list.epoch) return "other-epoch";
  if (signatures.length < quorumOf(protocol, list.members.length)) return "too-few-signatures";
  const signers = new Set(signatures.map(({ signer }) => signer));
  if (signers.size !== signatures.length) return "repeated-signer";
  if (signatures.some(({ signer }) => !list.members.includes(signer))) return "not-a-member";
  const isRight = signatures.every((each) => isSignedBy(verifier, certificate, each));
  return isRight ? undefined : "forged";
}

/** As {@link faultOfCertificate}, and that the value is the one that was accepted. */
export function faultOfDecision(
  { value, certificate }: CertifiedDecision,
  authority: Authority,
  verifier: Pick<Signer, "verify" | "publicKeyOf">,
  hasher: Hasher,
): CertificateFault | undefined {
  if (hasher.sha256Hex(value) !== certificate.digest) return "other-value";
  return faultOfCertificate(certificate, authority, verifier);
}

/** @returns a CertifiedDecision as it travels */
export function encodeDecision(
  keys: Pick<Signer, "peerIdOf" | "publicKeyOf">,
  { value, certificate }: CertifiedDecision,
): Uint8Array {
  return toBinary(
    CertifiedDecisionSchema,
    create(CertifiedDecisionSchema, {
      value,
      certificate: {
        group: fromHex(certificate.group),
        epoch: BigInt(certificate.epoch),
        number: BigInt(certificate.number),
        proposalId: fromHex(certificate.proposalId),
        topic: certificate.topic,
        digest: fromHex(certificate.digest),
        signatures: certificate.signatures.map(({ signer, signature }) => ({
          publicKey: keyOf(keys, signer),
          signature,
        })),
      },
    }),
  );
}

/** @returns what {@link encodeDecision} wrote, unchecked; undefined when it is none; never throws */
export function decodeDecision(
  keys: Pick<Signer, "peerIdOf" | "publicKeyOf">,
  bytes: Uint8Array,
): CertifiedDecision | undefined {
  let read: WireDecision;
  try {
    read = fromBinary(CertifiedDecisionSchema, bytes, { readUnknownFields: false });
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
  const { value, certificate } = read;
  if (certificate === undefined || value.length > VALUE_BYTES_MAX) return undefined;
  const { group, proposalId, topic, digest } = certificate;
  if (group.length !== ID_BYTES || proposalId.length !== ID_BYTES) return undefined;
  if (digest.length !== DIGEST_BYTES || !isTopic(topic)) return undefined;
  const signatures = readSignatures(keys, certificate.signatures);
  if (signatures === undefined) return undefined;
  const [epoch, number] = [Number(certificate.epoch), Number(certificate.number)];
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(number)) return undefined;
  return {
    value,
    certificate: {
      group: toHex(group),
      epoch,
      number,
      proposalId: toHex(proposalId),
      topic,
      digest: toHex(digest),
      signatures,
    },
  };
}

/** @returns signatures as they are kept and sent, unchecked; undefined when they are none; never throws */
export function readSignatures(
  keys: Pick<Signer, "peerIdOf" | "publicKeyOf">,
  read: readonly { readonly publicKey: Uint8Array; readonly signature: Uint8Array }[],
): DecisionSignature[] | undefined {
  if (read.length > MEMBERS_MAX) return undefined;
  const signatures: DecisionSignature[] = [];
  for (const { publicKey, signature } of read) {
    const signer = peerOf(keys, publicKey);
    if (signer === undefined) return undefined;
    signatures.push({ signer, signature });
  }
  return signatures;
}

/** One form for each statement, in any language; proto/agent_mesh/v1/agreement.proto describes it. */
function bytesOf({ group, epoch, number, proposalId, topic, digest }: Statement): Uint8Array {
  const text = new TextEncoder().encode(topic);
  const bytes = new Uint8Array(2 * ID_BYTES + 2 * NUMBER_BYTES + 1 + text.length + DIGEST_BYTES);
  const view = new DataView(bytes.buffer);
  putHex(bytes, 0, group);
  view.setBigUint64(ID_BYTES, BigInt(epoch));
  view.setBigUint64(ID_BYTES + NUMBER_BYTES, BigInt(number));
  putHex(bytes, ID_BYTES + 2 * NUMBER_BYTES, proposalId);
  const at = 2 * ID_BYTES + 2 * NUMBER_BYTES;
  bytes[at] = text.length;
  bytes.set(text, at + 1);
  putHex(bytes, at + 1 + text.length, digest);
  return bytes;
}
