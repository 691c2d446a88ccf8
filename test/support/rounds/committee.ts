import type { Ether } from "./ether.ts";

/** What members see, all in the same order. */
export type LogEntry =
  | {
      readonly kind: "proposal";
      readonly id: string;
      readonly value: Uint8Array;
      readonly proposer: string;
    }
  | {
      readonly kind: "ended";
      readonly id: string;
      readonly outcome: "accepted" | "rejected" | "expired";
      readonly reasons: readonly string[];
    };

interface Ballot {
  readonly value: Uint8Array;
  readonly accepts: Set<string>;
  readonly rejects: Map<string, string>;
  readonly expired: Set<string>;
  isOver: boolean;
}

/** A total order with quorum votes, as the consensus room gives it: who can reach a quorum can put something into it. */
export class ToyCommittee {
  readonly members: readonly string[];
  readonly quorum: number;
  readonly log: LogEntry[] = [];
  readonly #ether: Ether;
  readonly #isUp: (name: string) => boolean;
  readonly #onAccepted: (value: Uint8Array) => void;
  readonly #ballots = new Map<string, Ballot>();

  constructor(
    ether: Ether,
    members: readonly string[],
    quorum: number,
    parts: {
      readonly isUp: (name: string) => boolean;
      readonly onAccepted: (value: Uint8Array) => void;
    },
  ) {
    this.#ether = ether;
    this.members = members;
    this.quorum = quorum;
    this.#isUp = parts.isUp;
    this.#onAccepted = parts.onAccepted;
  }

  /** Whether a member can write and read at the moment. */
  reaches(member: string): boolean {
    const near = this.members.filter(
      (other) => this.#isUp(other) && !this.#ether.isCut(member, other),
    );
    return this.#isUp(member) && near.length >= this.quorum;
  }

  /** @returns false where the order can not be reached */
  propose(id: string, value: Uint8Array, proposer: string): boolean {
    if (!this.reaches(proposer)) return false;
    this.#ballots.set(id, {
      value,
      accepts: new Set(),
      rejects: new Map(),
      expired: new Set(),
      isOver: false,
    });
    this.log.push({ kind: "proposal", id, value, proposer });
    return true;
  }

  /** @returns false where the order can not be reached @param reason of a rejection */
  vote(id: string, member: string, reason: string | undefined): boolean {
    if (!this.reaches(member)) return false;
    const ballot = this.#ballots.get(id);
    if (ballot === undefined || ballot.accepts.has(member) || ballot.rejects.has(member))
      return true;
    if (reason === undefined) ballot.accepts.add(member);
    else ballot.rejects.set(member, reason);
    this.#count(id, ballot);
    return true;
  }

  /** @returns false where the order can not be reached */
  expire(id: string, member: string): boolean {
    if (!this.reaches(member)) return false;
    const ballot = this.#ballots.get(id);
    ballot?.expired.add(member);
    if (ballot !== undefined) this.#count(id, ballot);
    return true;
  }

  isOver(id: string): boolean {
    return this.#ballots.get(id)?.isOver !== false;
  }

  #count(id: string, ballot: Ballot): void {
    if (ballot.isOver) return;
    const outcome = this.#outcomeOf(ballot);
    if (outcome === undefined) return;
    ballot.isOver = true;
    this.log.push({ kind: "ended", id, outcome, reasons: [...ballot.rejects.values()] });
    if (outcome === "accepted") this.#onAccepted(ballot.value);
  }

  #outcomeOf({ accepts, rejects, expired }: Ballot) {
    if (accepts.size >= this.quorum) return "accepted";
    if (this.members.length - rejects.size < this.quorum) return "rejected";
    return expired.size >= this.quorum ? "expired" : undefined;
  }
}
