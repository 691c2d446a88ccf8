import type { Random } from "../../platform/random.ts";
import type { Configuration } from "./configuration.ts";
import type { Proposal } from "./entry.ts";
import { dataBytes, NO_DATA } from "./entry.ts";
import { RaftLog } from "./log.ts";
import type { HardState, LogStorage } from "./log-storage.ts";
import type { Message, PromiseMessage, VoteResponse } from "./message.ts";
import type { RaftOptions } from "./options.ts";
import type { PendingRead, ReadState } from "./reads.ts";
import { ReadQueue } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import { RefusalCounter } from "./refusals.ts";
import { Tracker } from "./tracker.ts";

/** What a node is in its term. `pre-candidate`: it asks whether it could win, and its term stays (Ongaro 2014, 9.6). */
export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** Who leads, as far as is known; 0 for nobody. Nothing of it outlives a restart. */
export interface SoftState {
  readonly leader: number;
  readonly role: Role;
}

/** The greatest term: from there on nobody could tell terms apart by their numbers. */
export const TERM_MAX = 2 ** 52;

/** What one node knows, and how it goes from role to role. The messages are handled around it, by role. */
export class RaftState {
  readonly id: number;
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly reads = new ReadQueue();
  readonly refusals = new RefusalCounter();
  readonly #random: Random;
  #term = 0;
  #role: Role = "follower";
  /** Who got the vote in this term, or 0. */
  vote = 0;
  /** Who leads this term, as far as is known, or 0. */
  leader = 0;
  /** Ticks since the start. */
  ticks = 0;
  /** Ticks since the leader gave a sign of life, or since the campaign began, or since the quorum was looked at. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** How many ticks without a leader make a campaign. */
  electionTimeout = 0;
  /** To whom leadership is being handed over, or 0. */
  transferee = 0;
  /** In this term somebody was told to campaign at once, which a lease does not keep anybody from voting for. */
  isLeaseGivenUp = false;
  /** No change of members may be proposed before this entry is applied. */
  pendingChangeIndex = 0;
  /**
   * Before the snapshot that is being written: entries handed out earlier may still be applied meanwhile, and their changes
   * belong to this configuration.
   */
  superseded: Configuration | undefined;
  #uncommittedBytes = 0;
  #messages: Message[] = [];
  #promises: PromiseMessage[] = [];
  #readStates: ReadState[] = [];
  /** Until then this node may have promised, before it was restarted, not to vote. */
  readonly #silentUntilTick: number;

  constructor(options: RaftOptions, storage: LogStorage, random: Random) {
    const { hardState } = storage.initialState();
    this.id = options.id;
    this.options = options;
    this.#random = random;
    this.log = new RaftLog(storage, options.applyingBytesMax);
    this.tracker = new Tracker(options);
    if (!this.log.commitTo(hardState.commit))
      throw new Error(`entry ${hardState.commit} is committed, but not in the log that is stored`);
    this.#term = hardState.term;
    this.vote = hardState.vote;
    const wasThere = options.readMode === "lease-based" && hardState.term > 0;
    this.#silentUntilTick = wasThere ? options.electionTicks : 0;
  }

  get term(): number {
    return this.#term;
  }

  get role(): Role {
    return this.#role;
  }

  get hardState(): HardState {
    return { term: this.#term, vote: this.vote, commit: this.log.committed };
  }

  get softState(): SoftState {
    return { leader: this.leader, role: this.#role };
  }

  /** What may be sent at once, since the last `takeOutput`. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** What may be sent when everything up to now is durable, since the last `takeOutput`. */
  get promises(): readonly PromiseMessage[] {
    return this.#promises;
  }

  /** Reads of this node that may be done, since the last `takeOutput`. */
  get readStates(): readonly ReadState[] {
    return this.#readStates;
  }

  /** Data that waits to be applied, of this leader in this term. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** The leader was heard of, or may have been, within an election timeout. */
  get isLeaderAlive(): boolean {
    if (this.ticks < this.#silentUntilTick) return true;
    return this.leader !== 0 && this.electionElapsed < this.options.electionTicks;
  }

  /** Whether it may lead: a voter whose state is not being replaced. */
  get isPromotable(): boolean {
    const own = this.tracker.get(this.id);
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** An entry of this term is committed, so that everything committed before is known to be. */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.#term;
  }

  refuse(refusal: Refusal): Refusal {
    return this.refusals.count(refusal);
  }

  send(message: Message): void {
    this.#messages.push(message);
  }

  /** Answers a candidate, this node itself too, when everything up to now is durable. */
  promiseVote(kind: VoteResponse["kind"], to: number, term: number, reject: boolean): void {
    const index = this.log.committed;
    const committed = { index, term: this.log.term(index) ?? 0 };
    this.promise({ kind, from: this.id, to, term, reject, committed });
  }

  /** Sends when everything up to now is durable. */
  promise(message: PromiseMessage): void {
    this.#promises.push(message);
  }

  /** Of a read that may be done; its asker learns of it. */
  answerRead({ from, context }: PendingRead, index: number): void {
    if (from === this.id) this.#readStates.push({ index, context });
    else {
      const { id, term } = this;
      this.send({ kind: "read-index-response", from: id, to: from, term, index, context });
    }
  }

  /** What was put out is on its way. */
  takeOutput(): void {
    this.#messages = [];
    this.#promises = [];
    this.#readStates = [];
  }

  becomeFollower(term: number, leader: number): void {
    this.#begin(term);
    this.leader = leader;
    this.#role = "follower";
  }

  becomePreCandidate(): void {
    this.tracker.forgetVotes();
    this.leader = 0;
    this.#role = "pre-candidate";
  }

  becomeCandidate(): void {
    this.#begin(this.#term + 1);
    this.vote = this.id;
    this.#role = "candidate";
  }

  /** The first entry of the term is empty: with it, what others left is committed (Ongaro and Ousterhout 2014, 5.4.2). */
  becomeLeader(): void {
    this.#begin(this.#term);
    this.leader = this.id;
    this.#role = "leader";
    const own = this.tracker.get(this.id);
    if (own !== undefined) {
      own.becomeReplicate();
      own.isActive = true;
      own.answeredTick = this.ticks;
    }
    // There may be a change among what others left: looking for it could mean to read the whole of it.
    this.pendingChangeIndex = this.log.lastIndex;
    this.appendOwn([{ kind: "normal", data: NO_DATA }]);
  }

  /** Appends as the leader. @returns whether the bound on uncommitted bytes allows it */
  appendOwn(proposals: readonly Proposal[]): boolean {
    const bytes = dataBytes(proposals);
    const total = this.#uncommittedBytes + bytes;
    // Anything may go if nothing waits, and what is empty always: a leader has to be able to begin its term.
    if (this.#uncommittedBytes > 0 && bytes > 0 && total > this.options.uncommittedBytesMax)
      return false;
    this.#uncommittedBytes = total;
    const { id, term } = this;
    const first = this.log.lastIndex + 1;
    const entries = proposals.map(({ kind, data }, at) => ({
      term,
      index: first + at,
      kind,
      data,
    }));
    this.log.append(entries, first);
    const index = first + entries.length - 1;
    const answer = { index, reject: false, rejectHint: 0, logTerm: 0 };
    this.promise({ kind: "append-response", from: id, to: id, term, ...answer });
    return true;
  }

  /** Data was applied, and waits no more. */
  reduceUncommitted(bytes: number): void {
    this.#uncommittedBytes = Math.max(0, this.#uncommittedBytes - bytes);
  }

  #begin(term: number): void {
    if (this.#term !== term) {
      this.#term = term;
      this.vote = 0;
    }
    const { electionTicks } = this.options;
    this.leader = 0;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.electionTimeout = electionTicks + Math.floor(this.#random.next() * electionTicks);
    this.transferee = 0;
    this.isLeaseGivenUp = false;
    this.tracker.forgetVotes();
    const { lastIndex } = this.log;
    for (const [id, progress] of this.tracker.members)
      progress.reset(id === this.id ? lastIndex : 0, lastIndex + 1);
    this.pendingChangeIndex = 0;
    this.#uncommittedBytes = 0;
    this.reads.clear();
  }
}
