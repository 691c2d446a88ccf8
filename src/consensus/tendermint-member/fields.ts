import type { MessageInitShape } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import {
  type TendermintCertificate,
  type TendermintCertificateSchema,
  type TendermintManifest,
  type TendermintManifestSchema,
  type TendermintOffer,
  type TendermintOfferSchema,
  type TendermintPiece,
  type TendermintPieceSchema,
  type TendermintProposalWord,
  type TendermintProposalWordSchema,
  TendermintVoteKind,
  type TendermintVoteSchema,
  type TendermintVote as WireVote,
} from "../../wire/agent_mesh/v1/tendermint_pb.ts";
import type { Certificate } from "../tendermint/certificate.ts";
import type { Manifest, Part } from "../tendermint/parts.ts";
import type { SignedProposal, SignedVote, VoteKind } from "../tendermint/vote.ts";
import type { Offer } from "./offer.ts";

const DIGEST_BYTES = 32;
const KINDS: Readonly<Record<VoteKind, TendermintVoteKind>> = {
  prevote: TendermintVoteKind.PREVOTE,
  precommit: TendermintVoteKind.PRECOMMIT,
};

/** What came over the wire is nothing that could have been sent. */
export class FieldError extends Error {
  override readonly name = "FieldError";
}

/** @returns the value of a field that has to be there @throws FieldError */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new FieldError("a field is missing");
  return value;
}

/** @returns 64 hexadecimal digits @throws FieldError */
export function digestOf(bytes: Uint8Array): string {
  if (bytes.length !== DIGEST_BYTES) throw new FieldError("a digest has 32 bytes");
  return toHex(bytes);
}

/** Heights beyond what is exact are out of range for the core as well. */
export function numberOf(value: bigint): number {
  return Number(value);
}

/** The fields of a vote, as they travel. */
export function voteFields(vote: SignedVote): MessageInitShape<typeof TendermintVoteSchema> {
  const { kind, height, round, valueId, validator, signature } = vote;
  return {
    kind: KINDS[kind],
    height: BigInt(height),
    round,
    valueId: valueId === null ? new Uint8Array() : fromHex(valueId),
    validator,
    signature,
  };
}

/** @throws FieldError */
export function voteOf(read: WireVote): SignedVote {
  return {
    kind: kindOf(read.kind),
    height: numberOf(read.height),
    round: read.round,
    valueId: read.valueId.length === 0 ? null : digestOf(read.valueId),
    validator: read.validator,
    signature: read.signature,
  };
}

/** The fields of a certificate, as they travel. */
export function certificateFields(
  certificate: Certificate,
): MessageInitShape<typeof TendermintCertificateSchema> {
  const { kind, height, round, valueId, signatures } = certificate;
  return {
    kind: KINDS[kind],
    height: BigInt(height),
    round,
    valueId: fromHex(valueId),
    voices: signatures.map(({ validator, signature }) => ({ validator, signature })),
  };
}

/** @throws FieldError */
export function certificateOf(read: TendermintCertificate | undefined): Certificate {
  const { kind, height, round, valueId, voices } = present(read);
  return {
    kind: kindOf(kind),
    height: numberOf(height),
    round,
    valueId: digestOf(valueId),
    signatures: voices.map(({ validator, signature }) => ({ validator, signature })),
  };
}

/** The fields of a proposal, as they travel. */
export function proposalFields(
  proposal: SignedProposal,
): MessageInitShape<typeof TendermintProposalWordSchema> {
  const { height, round, valueId, validRound, proposer, signature } = proposal;
  return {
    height: BigInt(height),
    round,
    valueId: fromHex(valueId),
    validRound,
    proposer,
    signature,
  };
}

/** @throws FieldError */
export function proposalOf(read: TendermintProposalWord | undefined): SignedProposal {
  const { height, round, valueId, validRound, proposer, signature } = present(read);
  return {
    height: numberOf(height),
    round,
    valueId: digestOf(valueId),
    validRound,
    proposer,
    signature,
  };
}

/** The fields of a manifest, as they travel. */
export function manifestFields(
  manifest: Manifest,
): MessageInitShape<typeof TendermintManifestSchema> {
  return { root: fromHex(manifest.root), size: manifest.bytes, partSize: manifest.partBytes };
}

/** @throws FieldError */
export function manifestOf(read: TendermintManifest | undefined): Manifest {
  const { root, size, partSize } = present(read);
  return { root: digestOf(root), bytes: size, partBytes: partSize };
}

/** The fields of a part of a value, as they travel. */
export function pieceFields(part: Part): MessageInitShape<typeof TendermintPieceSchema> {
  return { index: part.index, data: part.bytes, proof: part.proof.map(fromHex) };
}

/** @throws FieldError */
export function pieceOf(read: TendermintPiece | undefined): Part {
  const { index, data, proof } = present(read);
  return { index, bytes: data, proof: proof.map(digestOf) };
}

/** The fields of an offer of a state, as they travel. */
export function offerFields(offer: Offer): MessageInitShape<typeof TendermintOfferSchema> {
  return {
    height: BigInt(offer.height),
    manifest: manifestFields(offer.manifest),
    block: offer.block,
    certificate: certificateFields(offer.certificate),
  };
}

/** @throws FieldError */
export function offerOf(read: TendermintOffer | undefined): Offer {
  const { height, manifest, block, certificate } = present(read);
  return {
    height: numberOf(height),
    manifest: manifestOf(manifest),
    block,
    certificate: certificateOf(certificate),
  };
}

function kindOf(kind: TendermintVoteKind): VoteKind {
  if (kind === TendermintVoteKind.PREVOTE) return "prevote";
  if (kind === TendermintVoteKind.PRECOMMIT) return "precommit";
  throw new FieldError("a vote of no kind");
}
