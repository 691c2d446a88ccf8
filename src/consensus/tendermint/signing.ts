import type { PeerId, Signer } from "../../platform/signer.ts";
import type { Proposal, SignedProposal, SignedVote, Vote } from "./vote.ts";

const VOTE_PURPOSE = "agent-mesh/tendermint/vote/1";
const PROPOSAL_PURPOSE = "agent-mesh/tendermint/proposal/1";
/** Of a signature, as the seam `Signer` makes them. */
export const SIGNATURE_BYTES = 64;
const KIND_CODES = { prevote: 1, precommit: 2 } as const;
/** Keys of peers that are kept, so that a name is not decoded for each of its votes. */
const KEYS_MAX = 1024;

const encoder = new TextEncoder();

/** What it takes to check what others signed. */
export type SignatureVerifier = Pick<Signer, "verify" | "publicKeyOf">;

/**
 * Canonical bytes: lengths before texts, numbers of fixed width, big-endian, and the instance of consensus first, so that
 * no two messages, and no two committees, have bytes in common.
 */
function canonical(
  instance: string,
  code: number,
  height: number,
  rounds: readonly number[],
  valueId: string | null,
): Uint8Array {
  const space = encoder.encode(instance);
  const value = valueId === null ? undefined : encoder.encode(valueId);
  const bytes = new Uint8Array(
    4 + space.length + 1 + 8 + 4 * rounds.length + 5 + (value?.length ?? 0),
  );
  const view = new DataView(bytes.buffer);
  let at = 0;
  view.setUint32(at, space.length);
  bytes.set(space, (at += 4));
  at += space.length;
  view.setUint8(at, code);
  view.setBigUint64((at += 1), BigInt(height));
  at += 8;
  for (const round of rounds) {
    view.setInt32(at, round);
    at += 4;
  }
  view.setUint8(at, value === undefined ? 0 : 1);
  view.setUint32((at += 1), value?.length ?? 0);
  if (value !== undefined) bytes.set(value, at + 4);
  return bytes;
}

function voteBytes(instance: string, { kind, height, round, valueId }: Vote): Uint8Array {
  return canonical(instance, KIND_CODES[kind], height, [round], valueId);
}

function proposalBytes(instance: string, proposal: Proposal): Uint8Array {
  const { height, round, validRound, valueId } = proposal;
  return canonical(instance, 0, height, [round, validRound], valueId);
}

/** Signs a vote of this node's. @param instance names the committee and what it decides on */
export function signVote(signer: Signer, instance: string, vote: Vote): SignedVote {
  const { kind, height, round, valueId, validator } = vote;
  const signature = signer.sign(VOTE_PURPOSE, voteBytes(instance, vote));
  return { kind, height, round, valueId, validator, signature };
}

/** Signs a proposal of this node's. @param instance as for {@link signVote} */
export function signProposal(signer: Signer, instance: string, proposal: Proposal): SignedProposal {
  const { height, round, valueId, validRound, proposer } = proposal;
  const signature = signer.sign(PROPOSAL_PURPOSE, proposalBytes(instance, proposal));
  return { height, round, valueId, validRound, proposer, signature };
}

/** Checks signatures of one instance of consensus. */
export class BallotVerifier {
  readonly #verifier: SignatureVerifier;
  readonly #instance: string;
  readonly #keys = new Map<PeerId, Uint8Array>();

  /** @param instance as for {@link signVote} */
  constructor(verifier: SignatureVerifier, instance: string) {
    this.#verifier = verifier;
    this.#instance = instance;
  }

  /** @returns whether the validator that it names signed the vote */
  isSignedVote(vote: SignedVote): boolean {
    const bytes = voteBytes(this.#instance, vote);
    return this.#isSigned(vote.validator, VOTE_PURPOSE, bytes, vote.signature);
  }

  /** @returns whether the proposer that it names signed the proposal */
  isSignedProposal(proposal: SignedProposal): boolean {
    const bytes = proposalBytes(this.#instance, proposal);
    return this.#isSigned(proposal.proposer, PROPOSAL_PURPOSE, bytes, proposal.signature);
  }

  #isSigned(peer: PeerId, purpose: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    const key = this.#keyOf(peer);
    return key !== undefined && this.#verifier.verify(key, purpose, bytes, signature);
  }

  #keyOf(peer: PeerId): Uint8Array | undefined {
    const known = this.#keys.get(peer);
    if (known !== undefined) return known;
    const key = this.#verifier.publicKeyOf(peer);
    if (key === undefined) return undefined;
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    this.#keys.set(peer, key);
    return key;
  }
}
