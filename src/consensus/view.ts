import type { PeerId } from "../platform/signer.ts";
import type { CertificateFault } from "./agreement/certificate.ts";
import type { Choice } from "./agreement/word.ts";
import type { CommitteeStanding } from "./committee/committee.ts";
import type { Fitness } from "./committee/next-step.ts";
import type { OrderingProtocol, Standing } from "./ordering/ordering.ts";
import { AgreementError } from "./ordering/waiting.ts";

/** An agent, as far as it is known here. */
export interface NamedPeer {
  readonly peerId: PeerId;
  /** Absent for one that is not in this agent's table. */
  readonly agentId?: string;
  readonly self: boolean;
}

/** A member of the committee. */
export interface CommitteeMember extends NamedPeer {
  /** It proposes at the moment, as far as this agent knows. */
  readonly leads: boolean;
  readonly fitness: Fitness;
}

/** The committee, as far as it is known here. */
export interface CommitteeView {
  /** 32 hexadecimal digits. */
  readonly group: string;
  readonly protocol: OrderingProtocol;
  /** 1 for the founders, and one more with each change of members. */
  readonly epoch: number;
  readonly members: readonly CommitteeMember[];
  /** Members that decide together. */
  readonly quorum: number;
}

/** This agent's seat in it. */
export interface SeatView {
  readonly standing: Standing;
  readonly leader?: NamedPeer;
  readonly term: number;
  /** Last place in the committee's order that was applied here. */
  readonly position: number;
  /** About to be members. */
  readonly learners: readonly NamedPeer[];
}

/** How this agent stands to the committee of its fleet. */
export interface ConsensusStatus {
  readonly enabled: boolean;
  readonly standing: CommitteeStanding;
  readonly committee?: CommitteeView;
  readonly seat?: SeatView;
  /** From a proposal's place in the order to its decision, the last one that this member saw. */
  readonly latencyMs?: number;
  readonly counters: {
    readonly proposals: number;
    readonly decisions: number;
    readonly leaders: number;
  };
}

/** A value before the committee. */
export interface ProposalView {
  readonly proposalId: string;
  readonly topic: string;
  readonly value: Uint8Array;
  readonly proposer: NamedPeer;
  /** How much longer members may vote, by this agent's clock. */
  readonly expiresInMs: number;
  readonly votes: readonly {
    readonly member: NamedPeer;
    readonly choice: Choice;
    readonly reason: string;
  }[];
}

/** What became of one. */
export interface DecisionView {
  /** From 1 on. */
  readonly number: number;
  readonly proposalId: string;
  readonly topic: string;
  readonly value: Uint8Array;
  readonly outcome: "accepted" | "rejected" | "cancelled" | "expired";
  readonly proposer?: NamedPeer;
  readonly reasons: readonly string[];
  /** Of an accepted one, encoded with its value; absent until a quorum has put its names to it. */
  readonly certificate?: Uint8Array;
}

/** What a certificate is worth. */
export interface Verdict {
  readonly valid: boolean;
  readonly fault?: CertificateFault | "malformed" | "no-committee";
  readonly group?: string;
  readonly number?: number;
  readonly proposalId?: string;
  readonly topic?: string;
  readonly value?: Uint8Array;
}

/** A proposal that was made. */
export interface Proposed {
  readonly proposalId: string;
}

/** Agreement, for REST, CLI and metrics. */
export interface ConsensusView {
  status(): ConsensusStatus;
  /**
   * Puts a value before the committee, here or at a member. Resolves when it has its place in the order.
   * @throws AgreementError, NetworkError, RangeError
   */
  propose(value: Uint8Array, topic: string, expiresAfterMs: number): Promise<Proposed>;
  /** @throws AgreementError */
  vote(proposalId: string, choice: Choice, reason: string): Promise<void>;
  /** @throws AgreementError */
  cancel(proposalId: string): Promise<void>;
  /** Open ones; nothing on an agent without a seat. */
  proposals(): readonly ProposalView[];
  proposal(proposalId: string): ProposalView | undefined;
  /** Behind that number, oldest first. */
  decisions(after: number, limit: number): readonly DecisionView[];
  /** An agent without a seat asks the members, and checks what they say. */
  decision(proposalId: string): Promise<DecisionView | undefined>;
  /** Checks a certificate with nothing but the committee's record. */
  verify(certificate: Uint8Array): Verdict;
  /** Founds a committee with those that the roles want, where the one before can decide no more. @throws Refused */
  found(): Promise<void>;
}

const OFF: ConsensusStatus = {
  enabled: false,
  standing: "none",
  counters: { proposals: 0, decisions: 0, leaders: 0 },
};

function off(): never {
  throw new AgreementError("consensus.refused", "this agent takes no part in agreement");
}

/** Agreement is off. */
export const noConsensus: ConsensusView = {
  status: () => OFF,
  propose: off,
  vote: off,
  cancel: off,
  proposals: () => [],
  proposal: () => undefined,
  decisions: () => [],
  decision: () => Promise.resolve(undefined),
  verify: () => ({ valid: false, fault: "no-committee" }),
  found: off,
};
