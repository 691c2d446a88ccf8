import { quorumOf } from "../consensus/ordering/quorum.ts";
import { AgreementError } from "../consensus/ordering/waiting.ts";
import type { ProposalEnd, RoundsCommittee } from "../federated/running/round-parts.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { NetworkError } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { ConsensusPart } from "./consensus-part.ts";

/** What rounds of learning are proposed under. */
export const TOPIC = "learning/round";

/** How long members may take to judge a record; they fetch and compute in that time. */
const VOTE_WITHIN_MS = 600_000;
/** A vote that could not be cast, as a disk that refuses a write will not have it, is cast again after that. */
const VOTE_AGAIN_MS = 2_000;

/** What it works with. */
export interface CommitteeDoorParts {
  readonly consensus: Pick<ConsensusPart, "view" | "agreement">;
  readonly clock: Pick<Clock, "setTimer">;
  readonly logger: Logger;
}

/** The committee as it is known here, with the own seat where there is one. */
export class CommitteeDoor implements RoundsCommittee {
  readonly #parts: CommitteeDoorParts;
  /** Until which votes are cast again, by the proposal. */
  readonly #again = new Map<string, Timer>();
  #stopped = false;

  constructor(parts: CommitteeDoorParts) {
    this.#parts = parts;
  }

  /** No vote is cast again from now on. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#again.values()) timer.cancel();
    this.#again.clear();
  }

  members(): readonly PeerId[] {
    const { view } = this.#parts.consensus;
    return view.status().committee?.members.map(({ peerId }) => peerId) ?? [];
  }

  quorum(): number {
    const { committee } = this.#parts.consensus.view.status();
    return committee === undefined ? 1 : quorumOf(committee.protocol, committee.members.length);
  }

  async propose(value: Uint8Array): Promise<ProposalEnd> {
    try {
      const { consensus } = this.#parts;
      const { proposalId } = await consensus.view.propose(value, TOPIC, VOTE_WITHIN_MS);
      const agreement = consensus.agreement();
      if (agreement === undefined) return { outcome: "failed", reasons: ["no seat"] };
      const decision = await agreement.finalize(proposalId, { timeoutMs: VOTE_WITHIN_MS });
      return { outcome: decision.outcome, reasons: decision.reasons };
    } catch (error) {
      if (!(error instanceof AgreementError || error instanceof NetworkError)) throw error;
      return { outcome: "failed", reasons: [error.message] };
    }
  }

  accepted(): readonly Uint8Array[] {
    const agreement = this.#parts.consensus.agreement();
    const decisions = agreement?.decisions(0, Number.POSITIVE_INFINITY) ?? [];
    return decisions.flatMap(({ topic, outcome, value }) =>
      topic === TOPIC && outcome === "accepted" ? [value] : [],
    );
  }

  open() {
    const proposals = this.#parts.consensus.agreement()?.proposals() ?? [];
    return proposals.filter(({ topic }) => topic === TOPIC);
  }

  /** Casts it as often as it takes, as long as the proposal is open: where one vote is missing, a round may wait for it. */
  vote(proposalId: string, verdict: "accept" | { readonly reject: string }): void {
    const { consensus, clock, logger } = this.#parts;
    const [choice, reason] =
      verdict === "accept" ? (["accept", ""] as const) : (["reject", verdict.reject] as const);
    consensus.view.vote(proposalId, choice, reason).catch((error: unknown) => {
      // The group has said no, or has decided meanwhile.
      const isFinal = error instanceof AgreementError && error.code === "consensus.refused";
      logger.debug("a vote on a round was not cast", { proposalId, error, isFinal });
      if (isFinal || this.#stopped || this.#again.has(proposalId)) return;
      const timer = clock.setTimer("learning.vote", VOTE_AGAIN_MS, () => {
        this.#again.delete(proposalId);
        if (this.open().some(({ id }) => id === proposalId)) this.vote(proposalId, verdict);
      });
      this.#again.set(proposalId, timer);
    });
  }
}
