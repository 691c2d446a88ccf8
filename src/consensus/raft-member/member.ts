import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import { type Change, type ChangeStep, changeOf, isChangeKind } from "../raft/change.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { Entry } from "../raft/entry.ts";
import { entriesBytes } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { RaftNode } from "../raft/node.ts";
import type { Ready, StorageAppend, StorageApply } from "../raft/ready.ts";
import type { RaftStatus } from "../raft/status.ts";
import { decodeCommand, encodeCommand, ProposalIds } from "./command.ts";
import { CommitNotices } from "./commit-notices.ts";
import type { LogDisk } from "./log-disk.ts";
import { LogWriter } from "./log-writer.ts";
import type { MemberOptions } from "./options.ts";
import { type Decided, type Proposal, Proposals } from "./proposals.ts";
import { ReadBarrier } from "./read-barrier.ts";
import { isReplicatedState, ReplicatedState } from "./replicated-state.ts";
import { type ChangeContext, decodeContext, encodeContext, type Roster } from "./roster.ts";
import { Ticker } from "./ticker.ts";

/** Commands that go into the log together. */
const BATCH_BYTES_MAX = 262_144;

/** What a member is made of. */
export interface MemberParts {
  readonly disk: LogDisk;
  readonly machine: StateMachine;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: MemberOptions;
  /** Sends to another member. @throws Error, by rejecting, when it can not be sent */
  readonly send: (message: Message) => Promise<void>;
  /** Hears that who leads, the term, or who belongs to the group has changed. */
  readonly onChange: () => void;
  /** Time passed. It is told every tick while something waits for that. */
  readonly onTick: () => void;
  /** Whether something besides the member itself waits for time to pass; see `RaftMember.hasten`. */
  readonly isWaiting: () => boolean;
  /** The disk lost what this member has promised: it must not take part any more. */
  readonly onLost: (error: Error) => void;
}

/**
 * One member of a Raft group, running: brings time and messages to the core, writes what it wants on disk, sends, applies
 * what is committed, makes snapshots, and tells callers what came of their proposals.
 */
export class RaftMember {
  readonly #parts: MemberParts;
  readonly #node: RaftNode;
  readonly #state: ReplicatedState;
  readonly #writer: LogWriter;
  readonly #reads: ReadBarrier;
  readonly #proposals: Proposals;
  readonly #notices: CommitNotices;
  readonly #ids: ProposalIds;
  readonly #ticker: Ticker;
  #applied: { index: number; term: number };
  #bytesSinceSnapshot = 0;
  #leader = 0;
  #term = 0;
  #gathering: Timer | undefined;
  #pumping = false;
  #stopped = false;

  /** @throws Error when what is stored can not be */
  constructor(parts: MemberParts) {
    const { disk, machine, options, random, clock } = parts;
    const id = disk.identity.number;
    this.#parts = parts;
    this.#state = new ReplicatedState(machine);
    const snapshot = disk.log.snapshot();
    if (snapshot !== undefined) this.#state.restore(snapshot.data, snapshot.configuration);
    this.#applied = { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 };
    this.#node = new RaftNode({ ...options.raft, id, asyncStorage: true }, disk.log, random);
    this.#proposals = new Proposals({ ...options, nowMs: () => clock.monotonicMs() });
    this.#ids = new ProposalIds(random);
    this.#notices = new CommitNotices({
      clock,
      delayMs: options.commitDelayMs,
      send: (message) => this.#sendNow(message),
    });
    this.#writer = new LogWriter({
      ...parts,
      written: (append) => this.#written(append),
      lost: (error) => this.#lost(error),
    });
    this.#reads = new ReadBarrier({
      waitingMax: options.waitingMax,
      retryAfterMs: options.retryAfterMs,
      nowMs: () => clock.monotonicMs(),
      ask: (context) => {
        this.#ticker.catchUp();
        this.#node.readIndex(context);
        this.#pump();
      },
    });
    this.#ticker = new Ticker({
      ...options,
      clock,
      untilDue: () => (this.#isWaiting ? 1 : this.#node.ticksUntilDue),
      pass: (ticks) => this.#node.tick(ticks),
      woken: () => this.#woken(),
    });
  }

  start(): void {
    this.#ticker.start();
    this.#pump();
  }

  /** Something that was not waiting before waits for time to pass. */
  hasten(): void {
    if (!this.#stopped) this.#pump();
  }

  /** Takes part no more. What is under way on disk is waited for. Idempotent. @param error what those who wait are told */
  async stop(
    error: Error = new AgreementError("consensus.stopped", "this member stops"),
  ): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#ticker.stop();
    this.#gathering?.cancel();
    this.#notices.stop();
    this.refuse(error);
    await this.#writer.close();
  }

  /** Nothing that was asked for here comes about any more. */
  refuse(error: Error): void {
    this.#proposals.fail(error);
    this.#reads.fail(error);
  }

  get roster(): Roster {
    return this.#state.roster;
  }

  /** The least number that no member ever had. */
  get nextNumber(): number {
    return this.#state.nextNumber;
  }

  /** The last entry that is applied. */
  get position(): number {
    return this.#applied.index;
  }

  get isLeading(): boolean {
    return this.#node.isLeading;
  }

  /** Number of who leads, as far as is known; 0 for nobody. */
  get leader(): number {
    return this.#leader;
  }

  get configuration(): Configuration {
    return this.#node.configuration;
  }

  /** How many committed entries that member is not known to have; infinite unless this one leads and sends to it. */
  lagOf(id: number): number {
    const { members, commit } = this.#node.status();
    const progress = members.get(id);
    return progress?.mode === "replicate" ? commit - progress.match : Number.POSITIVE_INFINITY;
  }

  status(): RaftStatus {
    return this.#node.status();
  }

  /** Takes a message of a member; who says it is who it seems to be. */
  take(message: Message): void {
    if (this.#stopped) return;
    this.#ticker.catchUp();
    const refusal =
      message.kind === "snapshot" && !isReplicatedState(message.snapshot.data)
        ? "malformed"
        : this.#node.step(message);
    if (refusal !== undefined)
      this.#parts.logger.debug("a message of the group was refused", {
        refusal,
        kind: message.kind,
      });
    this.#pump();
  }

  /**
   * Puts a value before the group, at whichever member leads, as often as it takes until the deadline.
   * @param id names the proposal for ever; drawn unless given
   * @throws AgreementError
   */
  propose(value: Uint8Array, patience: Patience, id = this.#ids.next()): Promise<Decided> {
    const { valueBytesMax } = this.#parts.options;
    if (value.length > valueBytesMax)
      return Promise.reject(
        new AgreementError(
          "consensus.refused",
          `a value has ${valueBytesMax} bytes at most, not ${value.length}`,
        ),
      );
    return this.#put(id, { data: encodeCommand({ id, value }), change: undefined }, patience);
  }

  /**
   * Puts a change of members before the group.
   * @param participants those that the change adds or gives a vote @throws AgreementError
   */
  change(steps: readonly ChangeStep[], participants: Roster, patience: Patience): Promise<Decided> {
    const id = this.#ids.next();
    const context = encodeContext({ id, participants });
    const change = { transition: "auto" as const, steps, context };
    return this.#put(id, { data: context, change }, patience);
  }

  /** Waits until everything that was decided anywhere before now is applied here. @throws AgreementError */
  read(patience: Patience): Promise<void> {
    if (this.#stopped)
      return Promise.reject(new AgreementError("consensus.stopped", "this member stops"));
    return this.#reads.wait(patience);
  }

  /** Asks the leader to hand over to that member. */
  transferTo(id: number): void {
    this.#ticker.catchUp();
    this.#node.transferLeader(id);
    this.#pump();
  }

  #put(id: Uint8Array, proposal: Proposal, patience: Patience): Promise<Decided> {
    if (this.#stopped)
      return Promise.reject(new AgreementError("consensus.stopped", "this member stops"));
    const decided = this.#proposals.add(id, proposal, patience);
    const { clock, options } = this.#parts;
    this.#gathering ??= clock.setTimer("raft.gather", options.gatherMs, () => {
      this.#gathering = undefined;
      this.#pump();
    });
    return decided;
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  get #isWaiting(): boolean {
    return !this.#proposals.isIdle || !this.#reads.isIdle || this.#parts.isWaiting();
  }

  #woken(): void {
    this.#proposals.expire();
    this.#reads.tick();
    this.#proposals.retry(this.#nowMs - this.#parts.options.retryAfterMs);
    this.#parts.onTick();
    this.#pump();
  }

  /** Once for everything that happens in one turn. */
  #pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      if (this.#stopped) return;
      this.#proposeBatch();
      while (this.#node.hasReady && !this.#stopped) this.#perform(this.#node.ready());
      if (!this.#stopped) this.#ticker.arm();
    });
  }

  /** What comes in while the leader's disk is busy goes together, in one message and one write. */
  #proposeBatch(): void {
    const isLeader = this.#leader === this.#parts.disk.identity.number;
    if (this.#leader === 0 || !this.#proposals.isPending) return;
    if (this.#gathering !== undefined || (isLeader && this.#writer.busy)) return;
    let commands: Uint8Array[] = [];
    let bytes = 0;
    this.#ticker.catchUp();
    // What is refused is proposed again after a while.
    const flush = (): void => {
      this.#node.proposeAll(commands);
      commands = [];
      bytes = 0;
    };
    for (const { change, data } of this.#proposals.takeBatch()) {
      if (change !== undefined) {
        this.#node.proposeChange(change);
        continue;
      }
      if (bytes + data.length > BATCH_BYTES_MAX) flush();
      commands.push(data);
      bytes += data.length;
    }
    flush();
  }

  #perform({ messages, softState, hardState, readStates, append, apply }: Ready): void {
    for (const message of messages) this.#send(message);
    if (append !== undefined) this.#writer.push(append);
    if (apply !== undefined) this.#apply(apply);
    for (const { index, context } of readStates) this.#reads.confirmed(context, index);
    this.#reads.applied(this.#applied.index);
    const { leader } = softState ?? { leader: this.#leader };
    const { term } = hardState ?? { term: this.#term };
    if (leader === this.#leader && term === this.#term) return;
    // Whoever led before may have taken with it what was proposed.
    if (leader !== this.#leader && leader !== 0) this.#proposals.retry(Number.POSITIVE_INFINITY);
    this.#leader = leader;
    this.#term = term;
    this.#parts.onChange();
    this.#pump();
  }

  #send(message: Message): void {
    if (!this.#notices.hold(message)) this.#sendNow(message);
  }

  #sendNow(message: Message): void {
    const { to, kind } = message;
    this.#parts.send(message).then(
      () => {
        if (kind === "snapshot" && !this.#stopped) this.#node.reportSnapshot(to, true);
      },
      () => {
        if (this.#stopped) return;
        if (kind === "snapshot") this.#node.reportSnapshot(to, false);
        else this.#node.reportUnreachable(to);
      },
    );
  }

  /** All of it is durable. */
  #written({ snapshot, responses }: StorageAppend): void {
    if (this.#stopped) return;
    if (snapshot !== undefined) {
      this.#state.restore(snapshot.data, snapshot.configuration);
      this.#applied = { index: snapshot.index, term: snapshot.term };
      this.#bytesSinceSnapshot = 0;
      this.#parts.onChange();
    }
    this.#ticker.catchUp();
    for (const response of responses)
      if (response.to === this.#parts.disk.identity.number) this.#node.acknowledge(response);
      else if (response.kind !== "append-done") this.#send(response);
    this.#pump();
  }

  #apply({ entries, response }: StorageApply): void {
    let isChanged = false;
    for (const entry of entries) {
      // A snapshot came in between.
      if (entry.index <= this.#applied.index) continue;
      if (isChangeKind(entry.kind)) {
        this.#applyChange(entry);
        isChanged = true;
      } else this.#applyCommand(entry);
      this.#applied = { index: entry.index, term: entry.term };
    }
    this.#bytesSinceSnapshot += entriesBytes(entries);
    this.#node.acknowledge(response);
    // Who comes is only given a snapshot in which it is a member.
    const { snapshotEveryBytes } = this.#parts.options;
    if (isChanged || this.#bytesSinceSnapshot >= snapshotEveryBytes) this.#snapshot();
  }

  #applyCommand({ index, term, data }: Entry): void {
    const command = decodeCommand(data);
    if (command === undefined) return;
    const result = this.#state.apply(command);
    this.#proposals.settle(command.id, { index, term, result, refused: undefined });
  }

  /** Every member makes it, or none does: what speaks against it is part of what all of them hold alike. */
  #applyChange(entry: Entry): void {
    const change = changeOf(entry);
    if (change === undefined) return;
    const context = decodeContext(change);
    // Made again it would undo what has come about since, such as a vote that a learner was given.
    const isAgain = context !== undefined && !this.#state.decidedAnew(context.id);
    const refused = isAgain ? undefined : this.#reconfigure(change, context);
    if (context === undefined) return;
    const { index, term } = entry;
    this.#proposals.settle(context.id, { index, term, result: undefined, refused });
  }

  #reconfigure(change: Change, context: ChangeContext | undefined): string | undefined {
    const fault = context && this.#state.faultOf(change.steps, context);
    if (fault !== undefined) return fault;
    const configuration = this.#node.applyChange(change);
    if (typeof configuration === "string") return `the change can not be made: ${configuration}`;
    this.#state.become(configuration, context?.participants ?? new Map());
    this.#parts.onChange();
    return undefined;
  }

  #snapshot(): void {
    const { index, term } = this.#applied;
    const { configuration } = this.#node;
    this.#bytesSinceSnapshot = 0;
    const data = this.#state.snapshot();
    const compactTo = index - this.#parts.options.keptEntries;
    this.#writer.keepSnapshot({ index, term, configuration, data }, compactTo);
  }

  #lost(error: Error): void {
    void this.stop();
    this.#parts.onLost(error);
  }
}
