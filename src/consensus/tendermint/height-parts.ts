import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { EvidencePool } from "./evidence.ts";
import type { TendermintOptions } from "./options.ts";
import type { BallotVerifier } from "./signing.ts";
import type { SignedVote } from "./vote.ts";

/** What the heights of a node have in common. */
export interface HeightParts {
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly instance: string;
  readonly options: TendermintOptions;
  readonly verifier: BallotVerifier;
  readonly evidence: EvidencePool;
}

/** Votes, and who brought them. */
export interface ReceivedVotes {
  readonly from: PeerId;
  readonly votes: readonly SignedVote[];
}
