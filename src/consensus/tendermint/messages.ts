import type { Certificate } from "./certificate.ts";
import { type Manifest, PARTS_MAX, type Part, PROOF_DIGESTS_MAX, partCountOf } from "./parts.ts";
import { SIGNATURE_BYTES } from "./signing.ts";
import { VALIDATORS_MAX } from "./validators.ts";
import { NO_ROUND, type SignedProposal, type SignedVote, type ValueId } from "./vote.ts";

/** What validators, and those who follow them, tell each other. */
export type TendermintMessage =
  /** With the value itself when that is one part, and for an earlier valid round with the prevotes that made it so. */
  | {
      readonly kind: "proposal";
      readonly proposal: SignedProposal;
      readonly manifest: Manifest;
      readonly value?: Uint8Array;
      readonly polka?: Certificate;
    }
  | {
      readonly kind: "part";
      readonly height: number;
      readonly valueId: ValueId;
      readonly part: Part;
    }
  /** The prevotes that made a value valid, for those who saw others of the same liar. */
  | { readonly kind: "polka"; readonly certificate: Certificate }
  /** Of one height, own ones and those of others. */
  | { readonly kind: "votes"; readonly votes: readonly SignedVote[] }
  /** What was decided, with the value itself when that is one part. */
  | {
      readonly kind: "decision";
      readonly certificate: Certificate;
      readonly manifest: Manifest;
      readonly value?: Uint8Array;
    }
  /** Asks for the decision of a height, or for parts of a value of that height. */
  | {
      readonly kind: "ask";
      readonly height: number;
      readonly parts?: AskedParts;
    };

/** A proposal on its way. */
export type ProposalMessage = Extract<TendermintMessage, { kind: "proposal" }>;
/** A part on its way. */
export type PartMessage = Extract<TendermintMessage, { kind: "part" }>;
/** A decision on its way. */
export type DecisionMessage = Extract<TendermintMessage, { kind: "decision" }>;

/** Some of the parts of a value. */
export interface AskedParts {
  readonly valueId: ValueId;
  readonly indexes: readonly number[];
}

/** Of one message: two kinds of each validator, in two rounds. */
export const VOTES_OF_MESSAGE_MAX = 4 * VALIDATORS_MAX;
/** Nobody gets there: rounds take longer and longer. */
export const ROUND_MAX = 1_000_000;
/** Of a validator's name. */
const NAME_LENGTH_MAX = 128;
const DIGEST = /^[0-9a-f]{64}$/;

/** The sizes that a node takes. */
export interface MessageLimits {
  readonly partBytes: number;
  readonly valueBytesMax: number;
}

/**
 * Whether a decoded message is in range: numbers, lengths and counts. Whether what it says is true is another matter.
 * A message comes from a decoder, which answers for the types of its fields.
 */
export function isWellFormed(message: TendermintMessage, limits: MessageLimits): boolean {
  let isFine = false;
  switch (message.kind) {
    case "proposal":
      isFine =
        isProposal(message.proposal) &&
        isManifest(message.manifest, limits) &&
        isInline(message.manifest, message.value) &&
        (message.polka === undefined || isCertificate(message.polka));
      break;
    case "part":
      isFine =
        isHeight(message.height) && isDigest(message.valueId) && isPart(message.part, limits);
      break;
    case "polka":
      isFine = isCertificate(message.certificate) && message.certificate.kind === "prevote";
      break;
    case "votes":
      isFine = isVotes(message.votes);
      break;
    case "decision":
      isFine =
        isCertificate(message.certificate) &&
        message.certificate.kind === "precommit" &&
        isManifest(message.manifest, limits) &&
        isInline(message.manifest, message.value);
      break;
    case "ask":
      isFine = isHeight(message.height) && isAskedParts(message.parts);
      break;
  }
  return isFine;
}

/** The height that a well-formed message is about. */
export function heightOf(message: TendermintMessage): number {
  if (message.kind === "proposal") return message.proposal.height;
  if (message.kind === "decision" || message.kind === "polka") return message.certificate.height;
  return message.kind === "votes" ? (message.votes[0]?.height ?? 0) : message.height;
}

function isHeight(height: number): boolean {
  return Number.isSafeInteger(height) && height >= 0;
}

function isRound(round: number): boolean {
  return Number.isInteger(round) && round >= 0 && round <= ROUND_MAX;
}

function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

function isName(text: string): boolean {
  return text.length > 0 && text.length <= NAME_LENGTH_MAX;
}

function isProposal(proposal: SignedProposal): boolean {
  const { height, round, validRound, valueId, proposer, signature } = proposal;
  return (
    isHeight(height) &&
    isRound(round) &&
    Number.isInteger(validRound) &&
    validRound >= NO_ROUND &&
    validRound < round &&
    isDigest(valueId) &&
    isName(proposer) &&
    signature.length === SIGNATURE_BYTES
  );
}

function isVotes(votes: readonly SignedVote[]): boolean {
  const [first] = votes;
  if (first === undefined || votes.length > VOTES_OF_MESSAGE_MAX) return false;
  return votes.every(
    ({ kind, height, round, valueId, validator, signature }) =>
      (kind === "prevote" || kind === "precommit") &&
      isHeight(height) &&
      height === first.height &&
      isRound(round) &&
      (valueId === null || isDigest(valueId)) &&
      isName(validator) &&
      signature.length === SIGNATURE_BYTES,
  );
}

function isCertificate({ kind, height, round, valueId, signatures }: Certificate): boolean {
  return (
    (kind === "prevote" || kind === "precommit") &&
    isHeight(height) &&
    isRound(round) &&
    isDigest(valueId) &&
    signatures.length > 0 &&
    signatures.length <= VALIDATORS_MAX &&
    signatures.every(
      ({ validator, signature }) => isName(validator) && signature.length === SIGNATURE_BYTES,
    )
  );
}

function isManifest(manifest: Manifest, { partBytes, valueBytesMax }: MessageLimits): boolean {
  const { root, bytes } = manifest;
  return (
    isDigest(root) &&
    Number.isInteger(bytes) &&
    bytes >= 0 &&
    bytes <= valueBytesMax &&
    manifest.partBytes === partBytes &&
    partCountOf(manifest) <= PARTS_MAX
  );
}

/** A value of one part may come along, any other one may not. */
function isInline(manifest: Manifest, value: Uint8Array | undefined): boolean {
  return value === undefined || (partCountOf(manifest) === 1 && value.length === manifest.bytes);
}

function isPart({ index, bytes, proof }: Part, { partBytes }: MessageLimits): boolean {
  return (
    Number.isInteger(index) &&
    index >= 0 &&
    index < PARTS_MAX &&
    bytes.length <= partBytes &&
    proof.length <= PROOF_DIGESTS_MAX &&
    proof.every(isDigest)
  );
}

function isAskedParts(parts: AskedParts | undefined): boolean {
  if (parts === undefined) return true;
  const { valueId, indexes } = parts;
  return (
    isDigest(valueId) &&
    indexes.length > 0 &&
    indexes.length <= PARTS_MAX &&
    new Set(indexes).size === indexes.length &&
    indexes.every((index) => Number.isInteger(index) && index >= 0 && index < PARTS_MAX)
  );
}
