import type { PeerId } from "../../platform/signer.ts";
import type { BallotVerifier } from "./signing.ts";
import type { ValidatorSet } from "./validators.ts";
import type { SignedVote, ValueId, VoteKind } from "./vote.ts";

/** One voice of a certificate. */
export interface CertificateSignature {
  readonly validator: PeerId;
  /** Of that validator's vote, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Votes of more than 2/3 of the power for one value in one round. Of precommits it proves a decision to anybody who knows
 * the validators of its height; of prevotes (a polka) it lets a value be proposed again.
 */
export interface Certificate {
  readonly kind: VoteKind;
  readonly height: number;
  readonly round: number;
  readonly valueId: ValueId;
  readonly signatures: readonly CertificateSignature[];
}

/**
 * Why a certificate proves nothing. `not-a-validator`: a signer has no vote; `repeated-signer`: one counts twice;
 * `bad-signature`; `too-little-power`: not more than 2/3.
 */
export type CertificateFault =
  | "not-a-validator"
  | "repeated-signer"
  | "bad-signature"
  | "too-little-power";

/** @param votes for one value, of one kind and round @throws Error for no votes, and for votes for nil */
export function certificateOf(votes: readonly SignedVote[]): Certificate {
  const [first] = votes;
  if (first === undefined || first.valueId === null)
    throw new Error("a certificate is made of votes for a value");
  const { kind, height, round, valueId } = first;
  const signatures = votes.map(({ validator, signature }) => ({ validator, signature }));
  return { kind, height, round, valueId, signatures };
}

/** The votes that a certificate stands for. */
export function votesOf(certificate: Certificate): SignedVote[] {
  const { kind, height, round, valueId, signatures } = certificate;
  return signatures.map(({ validator, signature }) => ({
    kind,
    height,
    round,
    valueId,
    validator,
    signature,
  }));
}

/**
 * Checks a certificate with nothing but the validators of its height.
 * @returns undefined when it holds
 */
export function faultOfCertificate(
  certificate: Certificate,
  validators: ValidatorSet,
  verifier: BallotVerifier,
): CertificateFault | undefined {
  const signers = new Set<PeerId>();
  let power = 0;
  for (const { validator } of certificate.signatures) {
    if (!validators.has(validator)) return "not-a-validator";
    if (signers.has(validator)) return "repeated-signer";
    signers.add(validator);
    power += validators.powerOf(validator);
  }
  // Before any signature is checked: those cost most.
  if (!validators.isQuorum(power)) return "too-little-power";
  return votesOf(certificate).every((vote) => verifier.isSignedVote(vote))
    ? undefined
    : "bad-signature";
}
