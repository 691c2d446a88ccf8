import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import type { MemberStep, StateMachine } from "../ordering/state-machine.ts";
import { type Answer, encodeAnswers } from "./answers.ts";
import { Archive } from "./archive.ts";
import { Ballot } from "./ballot.ts";
import { decodeBox, encodeBox } from "./box-state.ts";
import { type Decision, MEMBERS_TOPIC, type Outcome } from "./decision.ts";
import { decodeEntry, type Item } from "./entry.ts";
import { contradict, type Evidence, EvidenceLog } from "./evidence.ts";
import { KeyCache } from "./key-cache.ts";
import {
  ID_BYTES,
  MEMBERS_MAX,
  OPEN_BYTES_MAX,
  OPEN_BYTES_OF_ONE_MAX,
  OPEN_MAX,
  OPEN_OF_ONE_MAX,
  RECENT_IDS_MAX,
} from "./limits.ts";
import { encodeMemberList, keyOf, type MemberList } from "./member-list.ts";
import { isGenuine, type ProposeBody, readWord, type VoteBody, type Word } from "./word.ts";

/** Hears what happens in the ballot box, while it happens. Must not throw. */
export interface BoxObserver {
  opened(ballot: Ballot): void;
  closed(decision: Decision): void;
  /** The decision has its certificate now. */
  certified(decision: Decision): void;
  /** Everything may be another. */
  restored(): void;
}

/**
 * Whether decisions allow a change of members. Follows from them alone.
 * @param accepted while the members were the present ones, as far as they are kept
 */
export type ChangeGuard = (step: MemberStep, accepted: Iterable<Decision>) => boolean;

/** What a ballot box is made of. */
export interface BoxParts {
  /** 32 hexadecimal digits. */
  readonly group: string;
  readonly protocol: OrderingProtocol;
  /** Checks signatures; nothing is signed with it. */
  readonly verifier: Pick<Signer, "verify" | "peerIdOf" | "publicKeyOf">;
  readonly hasher: Hasher;
  readonly observer: BoxObserver;
  /** Anything goes unless given. */
  readonly mayChange?: ChangeGuard | undefined;
}

interface OpenCount {
  readonly ballots: number;
  readonly bytes: number;
}

const NONE: OpenCount = { ballots: 0, bytes: 0 };
const NOBODY: MemberList = { epoch: 0, members: [] };

/**
 * The state that the members of a group hold alike: open ballots, decisions with their certificates, and who the members
 * are. A value is proposed, voted on and decided by entries in the group's order; members then vouch for what was accepted,
 * and a quorum of their signatures makes a certificate. Votes alone would make none: a vote that comes too late, or after
 * a cancellation, is a signed vote as well.
 */
export class BallotBox implements StateMachine {
  readonly #parts: BoxParts;
  #archive: Archive;
  #evidence = new EvidenceLog();
  #present = NOBODY;
  /** In the order of their opening. */
  #open = new Map<string, Ballot>();
  #openBytes = 0;
  readonly #openOf = new Map<PeerId, OpenCount>();

  constructor(parts: BoxParts) {
    this.#parts = { ...parts, verifier: new KeyCache(parts.verifier) };
    this.#archive = new Archive(parts.group, parts.protocol);
  }

  get group(): string {
    return this.#parts.group;
  }

  get archive(): Archive {
    return this.#archive;
  }

  /** Who votes at present; of epoch 0 before the group is founded. */
  get present(): MemberList {
    return this.#present;
  }

  /** In the order of their opening. */
  get open(): ReadonlyMap<string, Ballot> {
    return this.#open;
  }

  /** Members that lied, oldest first. */
  get evidence(): readonly Evidence[] {
    return this.#evidence.all();
  }

  /** @throws RangeError where there can be no such members */
  members(voters: readonly PeerId[]): void {
    const members = [...new Set(voters)].sort();
    if (members.length > MEMBERS_MAX)
      throw new RangeError(`a group has ${MEMBERS_MAX} members at most, not ${members.length}`);
    for (const peer of members) keyOf(this.#parts.verifier, peer);
    const before = this.#present;
    if (members.join() === before.members.join()) return;
    const next: MemberList = { epoch: before.epoch + 1, members };
    if (before.epoch > 0) this.#decideMembers(before, next);
    this.#present = next;
    for (const ballot of this.#open.values()) {
      ballot.withdraw(next);
      this.#closeIfDecided(ballot);
    }
  }

  permits(step: MemberStep): boolean {
    const { mayChange } = this.#parts;
    return mayChange?.(step, this.#archive.acceptedIn(this.#present.epoch)) ?? true;
  }

  /** @returns an answer for each item, a byte each */
  apply(value: Uint8Array): Uint8Array {
    const items = decodeEntry(this.#parts.verifier, value);
    const answers = items?.map((item) => this.#take(item)) ?? ["malformed" as const];
    return encodeAnswers(answers);
  }

  snapshot(): Uint8Array {
    return encodeBox(this.#parts.verifier, {
      present: this.#present,
      open: [...this.#open.values()],
      decided: this.#archive.decided,
      ...this.#archive.all(),
      recent: this.#archive.recent(),
      evidence: this.#evidence.all(),
    });
  }

  /** @throws Error when it is no state of this group's ballots */
  restore(state: Uint8Array): void {
    const { group, protocol, verifier, hasher, observer } = this.#parts;
    const read = decodeBox({ group, protocol, verifier, hasher }, state);
    this.#present = read?.present ?? NOBODY;
    this.#archive.restore(
      read?.decided ?? 0,
      { kept: read?.kept ?? [], links: read?.links ?? [] },
      read?.recent ?? [],
    );
    this.#evidence = new EvidenceLog();
    for (const each of read?.evidence ?? []) this.#evidence.add(each);
    this.#open = new Map();
    this.#openBytes = 0;
    this.#openOf.clear();
    for (const ballot of read?.open ?? []) this.#count(ballot);
    observer.restored();
  }

  #take(item: Item | undefined): Answer {
    if (item === undefined) return "malformed";
    const { group, verifier, observer } = this.#parts;
    if (item.kind === "voucher") {
      const answer = this.#archive.vouch(item.voucher, verifier);
      if (typeof answer === "string") return answer;
      observer.certified(answer);
      return "taken";
    }
    const word = readWord(verifier, group, item.signed);
    if (typeof word === "string") return word;
    const { proposalId, speaker, body } = word;
    if (body.kind === "propose") return this.#propose({ ...word, body });
    const ballot = this.#open.get(proposalId);
    if (ballot === undefined)
      return this.#archive.isDecided(proposalId) ? "decided" : "unknown-proposal";
    if (!this.#present.members.includes(speaker)) return "not-a-member";
    switch (body.kind) {
      case "vote":
        return this.#vote(ballot, { ...word, body });
      case "expire":
        return this.#expire(ballot, word);
      case "cancel":
        if (speaker !== ballot.proposal.proposer) return "not-the-proposer";
        if (!isGenuine(verifier, word)) return "forged";
        this.#close(ballot, "cancelled");
        return "taken";
      default:
        return body satisfies never;
    }
  }

  #propose(word: Word<ProposeBody>): Answer {
    const { verifier, protocol, hasher, observer } = this.#parts;
    const { proposalId, speaker, body } = word;
    const { decided } = this.#archive;
    if (!this.#present.members.includes(speaker)) return "not-a-member";
    if (body.topic === MEMBERS_TOPIC) return "reserved-topic";
    if (this.#open.has(proposalId)) return "known-proposal";
    if (this.#archive.isDecided(proposalId)) return "decided";
    if (body.after > decided) return "malformed";
    if (body.after < decided - RECENT_IDS_MAX) return "stale";
    if (!this.#hasRoom(speaker, body.value.length)) return "full";
    if (!isGenuine(verifier, word)) return "forged";
    const ballot = new Ballot(word, hasher.sha256Hex(body.value), this.#present, protocol);
    this.#count(ballot);
    observer.opened(ballot);
    return "taken";
  }

  /** Nobody takes all the room. */
  #hasRoom(proposer: PeerId, bytes: number): boolean {
    const own = this.#openOf.get(proposer) ?? NONE;
    return (
      this.#open.size < OPEN_MAX &&
      own.ballots < OPEN_OF_ONE_MAX &&
      own.bytes + bytes <= OPEN_BYTES_OF_ONE_MAX &&
      this.#openBytes + bytes <= OPEN_BYTES_MAX
    );
  }

  #vote(ballot: Ballot, word: Word<VoteBody>): Answer {
    const { speaker, body } = word;
    if (!ballot.mayVote(speaker, this.#present)) return "not-a-member";
    const before = ballot.voteOf(speaker);
    if (before !== undefined) return this.#voteAgain(before, word);
    if (body.digest !== ballot.proposal.digest) return "other-value";
    if (!isGenuine(this.#parts.verifier, word)) return "forged";
    ballot.vote(word);
    this.#closeIfDecided(ballot);
    return "taken";
  }

  /** The first vote counts; another one proves that its member lies. */
  #voteAgain(first: Word<VoteBody>, second: Word<VoteBody>): Answer {
    if (!contradict(first, second)) return "repeated";
    const { speaker: accused, proposalId } = second;
    if (this.#evidence.has(accused, proposalId)) return "contradicts";
    if (!isGenuine(this.#parts.verifier, second)) return "forged";
    this.#evidence.add({ accused, first, second });
    return "contradicts";
  }

  #expire(ballot: Ballot, word: Word): Answer {
    if (ballot.expired.has(word.speaker)) return "repeated";
    if (!isGenuine(this.#parts.verifier, word)) return "forged";
    ballot.expire(word.speaker);
    this.#closeIfDecided(ballot);
    return "taken";
  }

  #count(ballot: Ballot): void {
    const { id, value, proposer } = ballot.proposal;
    const own = this.#openOf.get(proposer) ?? NONE;
    this.#open.set(id, ballot);
    this.#openBytes += value.length;
    this.#openOf.set(proposer, {
      ballots: own.ballots + 1,
      bytes: own.bytes + value.length,
    });
  }

  #closeIfDecided(ballot: Ballot): void {
    const outcome = ballot.outcome(this.#present);
    if (outcome !== undefined) this.#close(ballot, outcome);
  }

  #close(ballot: Ballot, outcome: Outcome): void {
    const { id, topic, value, digest, proposer } = ballot.proposal;
    this.#open.delete(id);
    this.#openBytes -= value.length;
    const own = this.#openOf.get(proposer) ?? NONE;
    if (own.ballots <= 1) this.#openOf.delete(proposer);
    else
      this.#openOf.set(proposer, {
        ballots: own.ballots - 1,
        bytes: own.bytes - value.length,
      });
    const reasons = ballot.reasons();
    const decision = { proposalId: id, topic, value, digest, proposer, outcome, reasons };
    this.#parts.observer.closed(this.#archive.add(decision, this.#present));
  }

  /** The ordering has changed the members: those before vouch for those that come. */
  #decideMembers(before: MemberList, next: MemberList): void {
    const { group, verifier, hasher, observer } = this.#parts;
    const value = encodeMemberList(verifier, next);
    const name = `agent-mesh/consensus/${MEMBERS_TOPIC}/${group}/${next.epoch}`;
    const decision = {
      proposalId: hasher.sha256Hex(name).slice(0, 2 * ID_BYTES),
      topic: MEMBERS_TOPIC,
      value,
      digest: hasher.sha256Hex(value),
      proposer: undefined,
      outcome: "accepted" as const,
      reasons: [],
    };
    observer.closed(this.#archive.add(decision, before));
  }
}
