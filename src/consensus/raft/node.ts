import type { Random } from "../../platform/random.ts";
import { acknowledge } from "./acknowledging.ts";
import type { Change } from "./change.ts";
import { proposalOf } from "./change.ts";
import type { ChangeFault } from "./changer.ts";
import { changed } from "./changer.ts";
import type { Configuration } from "./configuration.ts";
import { startCampaign } from "./election.ts";
import type { Proposal } from "./entry.ts";
import { appendProposals, startTransfer, takeSnapshotReport } from "./leader.ts";
import type { LogStorage } from "./log-storage.ts";
import type { Acknowledgement, Message } from "./message.ts";
import { READ_CONTEXT_BYTES_MAX } from "./message-check.ts";
import type { RaftOptions } from "./options.ts";
import { checkOptions } from "./options.ts";
import { takeRead } from "./read-index.ts";
import type { Ready } from "./ready.ts";
import { ReadyMaker } from "./ready.ts";
import { reconfigure } from "./reconfigure.ts";
import type { Refusal } from "./refusals.ts";
import { RaftState } from "./state.ts";
import type { RaftStatus } from "./status.ts";
import { statusOf } from "./status.ts";
import { step } from "./step.ts";
import { tick, ticksUntilDue } from "./ticking.ts";

/**
 * One member of a group that agrees on a log: Raft by Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm", 2014, with pre-vote, leases, transfer, learners, changes of members and reads of Ongaro's dissertation,
 * 2014. Pure: it does nothing by itself, all of it is in a {@link Ready}. Whatever a peer says, nothing is thrown; what is
 * refused has a name, is returned and counted.
 */
export class RaftNode {
  readonly #state: RaftState;
  readonly #ready: ReadyMaker;
  /** To acknowledge by `advance`; `undefined` when no `Ready` is being worked on. */
  #onAdvance: readonly Acknowledgement[] | undefined;

  /**
   * @param applied the last entry that the application contains already: nothing up to it is handed out again; 0 if it
   * contains what the snapshot does
   * @throws {Error} when options, or what is stored, can not be
   */
  constructor(options: RaftOptions, storage: LogStorage, random: Random, applied = 0) {
    checkOptions(options);
    const state = new RaftState(options, storage, random);
    const { configuration } = storage.initialState();
    state.tracker.become(configuration, state.log.lastIndex);
    if (applied > state.log.committed)
      throw new Error(`${applied} is applied, but only ${state.log.committed} is committed`);
    if (applied > 0) state.log.appliedTo(applied, 0);
    state.becomeFollower(state.term, 0);
    this.#state = state;
    this.#ready = new ReadyMaker(state);
  }

  /** A tick of time passed, or so many. */
  tick(count = 1): void {
    tick(this.#state, count);
  }

  /** Ticks until one in which something is done, if nothing comes in before: at least 1, infinite for never. */
  get ticksUntilDue(): number {
    return ticksUntilDue(this.#state);
  }

  /** Takes a message that a peer sent. The caller vouches for `from`. @returns why it was refused, if it was */
  step(message: Message): Refusal | undefined {
    return step(this.#state, message);
  }

  /**
   * Something that a `StorageAppend` or a `StorageApply` asked for is done: brings back a response of it.
   * @throws {Error} when it is for another node
   */
  acknowledge(done: Acknowledgement): Refusal | undefined {
    if (done.to !== this.#state.id) throw new Error(`what is done is for node ${done.to}`);
    return acknowledge(this.#state, done);
  }

  /** Proposes a command; a follower passes it on to its leader. It may get lost: whoever cares proposes it again. */
  propose(data: Uint8Array): Refusal | undefined {
    return this.#propose([{ kind: "normal", data }]);
  }

  /** Proposes commands that go into the log together, or not at all. */
  proposeAll(commands: readonly Uint8Array[]): Refusal | undefined {
    if (commands.length === 0) return undefined;
    return this.#propose(commands.map((data) => ({ kind: "normal", data })));
  }

  /**
   * Proposes a change of members. If it can not be made when it comes to the leader, an empty entry takes its place.
   * @param kind `change-v1` for members that know nothing else
   * @throws {Error} when the change is none, see `proposalOf`
   */
  proposeChange(
    change: Change,
    kind: "change-v1" | "change-v2" = "change-v2",
  ): Refusal | undefined {
    return this.#propose([proposalOf(change, kind)]);
  }

  /**
   * A change of members was applied. To be called for every one that is committed, in its place among the others.
   * @returns the configuration after it, or why the change can not be made: then nothing changes, for nobody
   */
  applyChange(change: Change): Configuration | ChangeFault {
    const state = this.#state;
    const before = state.superseded ?? state.tracker.configuration;
    const result = changed(before, change);
    if (typeof result === "string") return result;
    if (state.superseded === undefined) reconfigure(state, result);
    else state.superseded = result;
    return result;
  }

  /** Campaigns now. With lease-based reads not while the leader is alive: others may rely on this node not to. */
  campaign(): Refusal | undefined {
    const state = this.#state;
    const { readMode, preVote } = state.options;
    if (readMode === "lease-based" && state.role !== "leader" && state.isLeaderAlive)
      return state.refuse("leader-alive");
    return this.#count(startCampaign(state, preVote ? "pre-election" : "election"));
  }

  /**
   * Asks for the index from which on a read is linearizable: it comes in the `readStates` of a `Ready`, unless it gets lost.
   * @param context comes with it
   * @throws {Error} when the context is greater than allowed
   */
  readIndex(context: Uint8Array): Refusal | undefined {
    if (context.length > READ_CONTEXT_BYTES_MAX)
      throw new Error(`the context of a read has ${READ_CONTEXT_BYTES_MAX} bytes at most`);
    const state = this.#state;
    const { id: from, leader: to } = state;
    if (state.role === "leader") return this.#count(takeRead(state, { from, context }));
    if (to === 0) return state.refuse("no-leader");
    state.send({ kind: "read-index", from, to, context });
    return undefined;
  }

  /** Hands leadership over, or asks the leader to. It is given up after an election timeout. */
  transferLeader(target: number): Refusal | undefined {
    const state = this.#state;
    const { id: from, leader: to, term } = state;
    if (state.role === "leader") return this.#count(startTransfer(state, target));
    if (to === 0) return state.refuse("no-leader");
    state.send({ kind: "transfer-leader", from, to, term, target });
    return undefined;
  }

  /**
   * Takes the leader for lost, without a new term: votes are possible at once, until it is heard of again.
   * @returns `leader-alive` with lease-based reads, which rely on nobody doing so
   */
  forgetLeader(): Refusal | undefined {
    const state = this.#state;
    if (state.role !== "follower" || state.leader === 0) return undefined;
    if (state.options.readMode === "lease-based") return state.refuse("leader-alive");
    state.leader = 0;
    return undefined;
  }

  /** Campaigns after that many ticks without a leader, until the role or the term changes: less than others to be first. */
  setElectionTimeout(ticks: number): void {
    this.#state.electionTimeout = ticks;
  }

  /** What was sent to it last did not arrive, probably. */
  reportUnreachable(id: number): void {
    const progress = this.#state.tracker.get(id);
    if (this.#state.role === "leader" && progress?.mode === "replicate") progress.becomeProbe();
  }

  /** A snapshot that was sent was delivered, or was not. To be called for every one. */
  reportSnapshot(id: number, isDelivered: boolean): void {
    const progress = this.#state.tracker.get(id);
    if (this.#state.role === "leader" && progress !== undefined)
      takeSnapshotReport(progress, isDelivered);
  }

  /** Whether there is anything to do. */
  get hasReady(): boolean {
    return this.#ready.hasReady;
  }

  /**
   * What there is to do since the last time.
   * @throws {Error} when the last one was not followed by `advance`, without `asyncStorage`
   */
  ready(): Ready {
    if (this.#onAdvance !== undefined) throw new Error("advance comes before the next ready");
    const { ready, onAdvance } = this.#ready.make();
    if (!this.#state.options.asyncStorage) this.#onAdvance = onAdvance;
    return ready;
  }

  /**
   * What the last `Ready` asked for is done.
   * @throws {Error} when there was none, or with `asyncStorage`
   */
  advance(): void {
    const done = this.#onAdvance;
    if (done === undefined) throw new Error("there is no ready to advance from");
    this.#onAdvance = undefined;
    for (const one of done) acknowledge(this.#state, one);
  }

  /** Term of an entry of the log; `undefined` when it is compacted, or not there. */
  termAt(index: number): number | undefined {
    return this.#state.log.term(index);
  }

  /** Whether it leads its term, as far as it knows. */
  get isLeading(): boolean {
    return this.#state.role === "leader";
  }

  /** Who belongs to the group, as far as is applied. */
  get configuration(): Configuration {
    return this.#state.tracker.configuration;
  }

  /** How things are. */
  status(): RaftStatus {
    return statusOf(this.#state);
  }

  #propose(proposals: readonly Proposal[]): Refusal | undefined {
    const state = this.#state;
    if (state.role === "leader") return this.#count(appendProposals(state, proposals));
    const { id: from, leader: to } = state;
    if (to === 0) return state.refuse("no-leader");
    if (state.options.disableForwarding) return state.refuse("forwarding-disabled");
    state.send({ kind: "propose", from, to, entries: proposals });
    return undefined;
  }

  #count(refusal: Refusal | undefined): Refusal | undefined {
    return refusal === undefined ? undefined : this.#state.refuse(refusal);
  }
}
