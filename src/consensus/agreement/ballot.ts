import type { PeerId } from "../../platform/signer.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { quorumOf } from "../ordering/quorum.ts";
import type { OpenProposal, Outcome, Proposal } from "./decision.ts";
import type { MemberList } from "./member-list.ts";
import type { ProposeBody, VoteBody, Word } from "./word.ts";

/** The votes on one proposal that is not decided yet. */
export class Ballot {
  readonly proposal: Proposal;
  readonly word: Word<ProposeBody>;
  /** Who votes. */
  readonly list: MemberList;
  readonly #protocol: OrderingProtocol;
  readonly #quorum: number;
  readonly #votes = new Map<PeerId, Word<VoteBody>>();
  readonly #expired = new Set<PeerId>();
  #accepting = 0;

  /** @param digest of the value */
  constructor(
    word: Word<ProposeBody>,
    digest: string,
    list: MemberList,
    protocol: OrderingProtocol,
  ) {
    const { proposalId, speaker, body } = word;
    const { topic, value, expiresAfterMs } = body;
    this.word = word;
    this.list = list;
    this.proposal = Object.freeze({
      id: proposalId,
      topic,
      value,
      digest,
      proposer: speaker,
      expiresAfterMs,
    });
    this.#protocol = protocol;
    this.#quorum = quorumOf(protocol, list.members.length);
  }

  /** As they came in. */
  get votes(): MapIterator<Word<VoteBody>> {
    return this.#votes.values();
  }

  get expired(): ReadonlySet<PeerId> {
    return this.#expired;
  }

  voteOf(peer: PeerId): Word<VoteBody> | undefined {
    return this.#votes.get(peer);
  }

  /** The first vote of a member that votes on this. */
  vote(word: Word<VoteBody>): void {
    this.#votes.set(word.speaker, word);
    if (word.body.choice === "accept") this.#accepting++;
  }

  /** A present member says that the time is over. */
  expire(peer: PeerId): void {
    this.#expired.add(peer);
  }

  /** Whoever is no member any more has no say in whether the time is over. */
  withdraw(present: MemberList): void {
    for (const peer of this.#expired)
      if (!present.members.includes(peer)) this.#expired.delete(peer);
  }

  /** Whether the peer may still vote: it was a member when the ballot began, and is one. */
  mayVote(peer: PeerId, present: MemberList): boolean {
    return this.list.members.includes(peer) && present.members.includes(peer);
  }

  /** @returns how it ended, as far as votes and time can tell; undefined while it is open */
  outcome(present: MemberList): Outcome | undefined {
    if (this.#accepting >= this.#quorum) return "accepted";
    const waiting = this.list.members.filter(
      (peer) => !this.#votes.has(peer) && present.members.includes(peer),
    );
    if (this.#accepting + waiting.length < this.#quorum) return "rejected";
    const enough = quorumOf(this.#protocol, present.members.length);
    return this.#expired.size >= enough ? "expired" : undefined;
  }

  /** Why members rejected it, as far as they said so. */
  reasons(): string[] {
    return [...this.#votes.values()].flatMap(({ body }) =>
      body.choice === "reject" && body.reason !== "" ? [body.reason] : [],
    );
  }

  open(): OpenProposal {
    const votes = Array.from(this.#votes.values(), ({ speaker, body: { choice, reason } }) => ({
      member: speaker,
      choice,
      reason,
    }));
    return { ...this.proposal, epoch: this.list.epoch, quorum: this.#quorum, votes };
  }
}
