import type { Clock, Timer } from "../../platform/clock.ts";
import { toHex } from "../../platform/hex.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import { AgreementError, type Patience, Waiting } from "../ordering/waiting.ts";
import { type Change, type ChangeStep, changeOf, isChangeKind } from "../raft/change.ts";
import type { Entry } from "../raft/entry.ts";
import { entriesBytes } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { RaftNode } from "../raft/node.ts";
import type { Ready, StorageAppend, StorageApply } from "../raft/ready.ts";
import type { RaftStatus } from "../raft/status.ts";
import { decodeCommand, encodeCommand, PROPOSAL_ID_BYTES } from "./command.ts";
import type { LogDisk } from "./log-disk.ts";
import { LogWriter } from "./log-writer.ts";
import type { MemberOptions } from "./options.ts";
import { ReadBarrier } from "./read-barrier.ts";
import { ReplicatedState } from "./replicated-state.ts";
import { decodeContext, encodeContext, type Roster, rosterAfter } from "./roster.ts";

/** Commands that go into the log together. */
const BATCH_BYTES_MAX = 262_144;

/** What came of a proposal. */
export interface Decided {
  /** Place in the group's log. */
  readonly index: number;
  readonly term: number;
  /** What the state machine answered; undefined when the same proposal was decided before, or was a change of members. */
  readonly result: Uint8Array | undefined;
}

/** What a member is made of. */
export interface MemberParts {
  /** Number of this member in the group. */
  readonly id: number;
  readonly disk: LogDisk;
  readonly machine: StateMachine;
  /** Who may speak before this member has learnt who belongs to the group: who asked it to join. */
  readonly sponsors: Roster;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: MemberOptions;
  /** Sends to another member. @throws Error, by rejecting, when it can not be sent */
  readonly send: (to: PeerId, message: Message) => Promise<void>;
  /** Hears who leads, and who belongs to the group, whenever that changes. */
  readonly onChange: () => void;
  /** The disk lost what this member has promised: it must not take part any more. */
  readonly onLost: (error: Error) => void;
}

interface Proposed {
  readonly data: Uint8Array;
  /** Undefined for a command. */
  readonly change: Change | undefined;
  readonly decided: Promise<Decided>;
  proposedAtMs: number;
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
  readonly #decided: Waiting<Decided>;
  readonly #proposed = new Map<string, Proposed>();
  #proposedBytes = 0;
  /** Not given to the core yet: they go together. */
  #batch = new Set<string>();
  #applied: { index: number; term: number };
  #bytesSinceSnapshot = 0;
  #leader = 0;
  #timer: Timer | undefined;
  #pumping = false;
  #stopped = false;

  /** @throws Error when what is stored can not be */
  constructor(parts: MemberParts) {
    const { id, disk, machine, options, random, clock } = parts;
    this.#parts = parts;
    this.#state = new ReplicatedState(machine);
    const snapshot = disk.log.snapshot();
    if (snapshot !== undefined) this.#state.restore(snapshot.data);
    this.#applied = { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 };
    this.#node = new RaftNode({ ...options.raft, id, asyncStorage: true }, disk.log, random);
    this.#decided = new Waiting(options.waitingMax);
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
        this.#node.readIndex(context);
        this.#pump();
      },
    });
  }

  start(): void {
    this.#tickLater();
    this.#pump();
  }

  /** Takes part no more. What is under way on disk is waited for. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    const error = new AgreementError("consensus.stopped", "this member stops");
    this.#decided.fail(error);
    this.#reads.fail(error);
    await this.#writer.close();
  }

  get roster(): Roster {
    return this.#state.roster;
  }

  status(): RaftStatus {
    return this.#node.status();
  }

  /** Whether the peer may speak as that member. */
  isFrom(peer: PeerId, id: number): boolean {
    const { sponsors } = this.#parts;
    return (this.#state.roster.get(id) ?? sponsors.get(id)) === peer;
  }

  /** Takes a message of a member; {@link isFrom} was asked before. */
  take(message: Message): void {
    if (this.#stopped) return;
    const refusal = this.#node.step(message);
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
  propose(value: Uint8Array, patience: Patience, id = this.#newId()): Promise<Decided> {
    const { valueBytesMax } = this.#parts.options;
    if (value.length > valueBytesMax)
      return Promise.reject(
        new RangeError(`a value has ${valueBytesMax} bytes at most, not ${value.length}`),
      );
    return this.#put(id, { data: encodeCommand({ id, value }), change: undefined }, patience);
  }

  /**
   * Puts a change of members before the group.
   * @param peers those that the change adds @throws AgreementError
   */
  change(steps: readonly ChangeStep[], peers: Roster, patience: Patience): Promise<Decided> {
    const id = this.#newId();
    const context = encodeContext({ id, peers });
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
    this.#node.transferLeader(id);
    this.#pump();
  }

  #put(
    id: Uint8Array,
    what: Pick<Proposed, "data" | "change">,
    patience: Patience,
  ): Promise<Decided> {
    if (this.#stopped)
      return Promise.reject(new AgreementError("consensus.stopped", "this member stops"));
    const key = toHex(id);
    const before = this.#proposed.get(key);
    if (before !== undefined) return before.decided;
    const { waitingBytesMax } = this.#parts.options;
    if (this.#proposedBytes + what.data.length > waitingBytesMax)
      return Promise.reject(
        new AgreementError(
          "consensus.busy",
          `${waitingBytesMax} bytes wait for this group already`,
        ),
      );
    const decided = this.#decided.add(key, this.#nowMs, patience);
    if (!this.#decided.has(key)) return decided;
    this.#proposed.set(key, { ...what, decided, proposedAtMs: Number.NEGATIVE_INFINITY });
    this.#proposedBytes += what.data.length;
    const forget = (): void => {
      this.#proposed.delete(key);
      this.#proposedBytes -= what.data.length;
    };
    decided.then(forget, forget);
    this.#batch.add(key);
    this.#pump();
    return decided;
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  #newId(): Uint8Array {
    return this.#parts.random.bytes(PROPOSAL_ID_BYTES);
  }

  #tickLater(): void {
    const { clock, options } = this.#parts;
    this.#timer = clock.setTimer("raft.tick", options.tickMs, () => {
      this.#tickLater();
      this.#node.tick();
      this.#decided.expire(this.#nowMs);
      this.#reads.tick();
      this.#retry(this.#nowMs - options.retryAfterMs);
      this.#pump();
    });
  }

  /** Proposes again what was proposed before then and is not decided. */
  #retry(beforeMs: number): void {
    for (const [key, { proposedAtMs }] of this.#proposed)
      if (proposedAtMs < beforeMs) this.#batch.add(key);
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
    });
  }

  /** What comes in while the leader's disk is busy goes together, in one message and one write. */
  #proposeBatch(): void {
    const isLeader = this.#leader === this.#parts.id;
    if (this.#leader === 0 || this.#batch.size === 0 || (isLeader && this.#writer.busy)) return;
    const keys = this.#batch;
    this.#batch = new Set();
    let commands: Uint8Array[] = [];
    let bytes = 0;
    // What is refused is proposed again after a while.
    const flush = (): void => {
      this.#node.proposeAll(commands);
      commands = [];
      bytes = 0;
    };
    for (const key of keys) {
      const proposed = this.#proposed.get(key);
      if (proposed === undefined) continue;
      proposed.proposedAtMs = this.#nowMs;
      const { change, data } = proposed;
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

  #perform({ messages, softState, readStates, append, apply }: Ready): void {
    for (const message of messages) this.#send(message);
    if (append !== undefined) this.#writer.push(append);
    if (apply !== undefined) this.#apply(apply);
    for (const { index, context } of readStates) this.#reads.confirmed(context, index);
    this.#reads.applied(this.#applied.index);
    if (softState === undefined || softState.leader === this.#leader) return;
    this.#leader = softState.leader;
    // Whoever led before may have taken with it what was proposed.
    if (this.#leader !== 0) this.#retry(Number.POSITIVE_INFINITY);
    this.#parts.onChange();
    this.#pump();
  }

  #send(message: Message): void {
    const { send, sponsors } = this.#parts;
    const { to } = message;
    const peer = this.#state.roster.get(to) ?? sponsors.get(to);
    const failed = (): void => {
      if (this.#stopped) return;
      if (message.kind === "snapshot") this.#node.reportSnapshot(to, false);
      else this.#node.reportUnreachable(to);
    };
    if (peer === undefined) failed();
    else
      send(peer, message).then(() => {
        if (message.kind === "snapshot" && !this.#stopped) this.#node.reportSnapshot(to, true);
      }, failed);
  }

  /** All of it is durable. */
  #written({ snapshot, responses }: StorageAppend): void {
    if (this.#stopped) return;
    if (snapshot !== undefined) {
      this.#state.restore(snapshot.data);
      this.#applied = { index: snapshot.index, term: snapshot.term };
      this.#bytesSinceSnapshot = 0;
      this.#parts.onChange();
    }
    for (const response of responses)
      if (response.to === this.#parts.id) this.#node.acknowledge(response);
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
    this.#decided.settle(toHex(command.id), { index, term, result });
  }

  #applyChange(entry: Entry): void {
    const change = changeOf(entry);
    if (change === undefined) return;
    const context = decodeContext(change);
    const configuration = this.#node.applyChange(change);
    const { index, term } = entry;
    if (typeof configuration !== "string") {
      const { roster } = this.#state;
      this.#state.roster = rosterAfter(roster, context?.peers ?? new Map(), configuration);
      this.#parts.onChange();
    }
    if (context === undefined) return;
    this.#state.decidedAnew(context.id);
    this.#decided.settle(toHex(context.id), { index, term, result: undefined });
  }

  #snapshot(): void {
    const { index, term } = this.#applied;
    const { configuration } = this.#node.status();
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
