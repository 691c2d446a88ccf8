import { changeOf } from "../../../src/consensus/raft/change.ts";
import type { Configuration } from "../../../src/consensus/raft/configuration.ts";
import { type Entry, NO_DATA } from "../../../src/consensus/raft/entry.ts";
import type { LogStorage, Snapshot } from "../../../src/consensus/raft/log-storage.ts";
import type { Acknowledgement, Message } from "../../../src/consensus/raft/message.ts";
import { RaftNode } from "../../../src/consensus/raft/node.ts";
import type { RaftOptions } from "../../../src/consensus/raft/options.ts";
import type { StorageAppend, StorageApply } from "../../../src/consensus/raft/ready.ts";
import type { Random } from "../../../src/platform/random.ts";
import type { RaftInvariants } from "./invariants.ts";
import { LossyStorage } from "./lossy-storage.ts";
import { type RegisterClients, RegisterState } from "./register-clients.ts";

/** Whether the power goes at this point. */
type Mishap = () => boolean;

/** A node of a world: a core, a disk that may lose what was not synced, and an application that keeps a digest. */
export class WorldNode {
  readonly id: number;
  readonly #options: RaftOptions;
  readonly #random: Random;
  readonly #invariants: RaftInvariants;
  readonly #send: (message: Message) => void;
  readonly #storage = new LossyStorage();
  #appendWork: StorageAppend[] = [];
  #applyWork: StorageApply[] = [];
  #raft: RaftNode | undefined;
  readonly #clients: RegisterClients;
  readonly #registers = new RegisterState();
  /** Of clients, until their index is applied. */
  #reads: { readonly name: string; readonly key: string; readonly index: number }[] = [];
  #state: { readonly index: number; readonly digest: string; readonly members: Configuration };

  constructor(
    options: RaftOptions,
    members: Configuration,
    random: Random,
    invariants: RaftInvariants,
    clients: RegisterClients,
    send: (message: Message) => void,
  ) {
    this.id = options.id;
    this.#options = options;
    this.#random = random;
    this.#invariants = invariants;
    this.#clients = clients;
    this.#send = send;
    this.#state = { index: 0, digest: "", members };
    if (members.voters.length > 0) {
      const snapshot = { index: 1, term: 1, configuration: members, data: NO_DATA };
      this.#storage.write({ term: 1, vote: 0, commit: 1 }, [], snapshot);
      this.#storage.sync();
    }
    this.start();
  }

  /** `undefined` while it is off. */
  get raft(): RaftNode | undefined {
    return this.#raft;
  }

  get appliedIndex(): number {
    return this.#state.index;
  }

  get hasWork(): boolean {
    return this.#appendWork.length > 0 || this.#applyWork.length > 0 || !!this.#raft?.hasReady;
  }

  /** What a loss of power would leave of an entry. */
  durableTerm(index: number): number | "compacted" | undefined {
    return this.#storage.durableTerm(index);
  }

  start(): void {
    this.#storage.losePower();
    const snapshot = this.#storage.snapshot();
    this.#invariants.restarted(this.id);
    this.#restore(snapshot);
    const index = snapshot?.index ?? 0;
    const storage = this.#storage;
    const withLatest: LogStorage = {
      initialState: () => storage.initialState(),
      firstIndex: () => storage.firstIndex(),
      lastIndex: () => storage.lastIndex(),
      term: (index) => storage.term(index),
      entries: (from, to, bytesMax) => storage.entries(from, to, bytesMax),
      snapshot: () => this.#snapshot(),
    };
    this.#raft = new RaftNode(this.#options, withLatest, this.#random, index);
  }

  crash(): void {
    this.#raft = undefined;
    this.#appendWork = [];
    this.#applyWork = [];
    this.#reads = [];
  }

  /** Does what there is to do, or a part of it, when it has a writer and an applier of its own. */
  work(part: "ready" | "append" | "apply", mishap: Mishap): void {
    if (part === "append") this.#append(mishap);
    else if (part === "apply") this.#applyNext();
    else if (this.#raft?.hasReady) this.#ready(this.#raft, mishap);
  }

  /** The application makes a snapshot of its state, and the log before it goes. */
  compact(): void {
    const snapshot = this.#snapshot();
    if (this.#raft === undefined || snapshot === undefined) return;
    if (snapshot.index < this.#storage.firstIndex()) return;
    this.#storage.compact(snapshot);
    this.#storage.sync();
  }

  /** Of what is applied. */
  #snapshot(): Snapshot | undefined {
    const { index, digest, members: configuration } = this.#state;
    const term = this.#storage.term(index);
    if (term === undefined) return undefined;
    return {
      index,
      term,
      configuration,
      data: Buffer.from(`${digest}\n${this.#registers.encode()}`),
    };
  }

  #ready(raft: RaftNode, mishap: Mishap): void {
    const ready = raft.ready();
    for (const { context, index } of ready.readStates) {
      const name = Buffer.from(context).toString();
      const key = this.#clients.keyOf(name);
      if (key !== undefined) this.#reads.push({ name, key, index });
      else this.#invariants.readAnswered(name, index);
    }
    this.#answerReads();
    for (const message of ready.messages) this.#send(message);
    if (ready.append) this.#appendWork.push(ready.append);
    if (ready.apply) this.#applyWork.push(ready.apply);
    if (this.#options.asyncStorage) return;
    if (mishap()) return this.crash();
    const { hardState, entries, snapshot } = ready;
    this.#write(hardState, entries, snapshot, ready.mustSync || snapshot !== undefined);
    if (mishap()) return this.crash();
    for (const message of ready.promises) this.#send(message);
    if (mishap()) return this.crash();
    this.#apply(raft, ready.committed);
    raft.advance();
  }

  #append(mishap: Mishap): void {
    const work = this.#appendWork.shift();
    if (work === undefined) return;
    const { hardState, entries, snapshot, responses } = work;
    this.#write(hardState, entries, snapshot, responses.length > 0);
    if (mishap()) return this.crash();
    for (const response of responses) this.#acknowledge(response);
  }

  /** A write fails, and reaches the disk perhaps all the same; it is made again. */
  failToAppend(): void {
    const [work] = this.#appendWork;
    if (work === undefined || this.#random.next() < 0.5) return;
    this.#storage.write(work.hardState, work.entries, work.snapshot);
  }

  #applyNext(): void {
    const work = this.#applyWork.shift();
    if (work === undefined || this.#raft === undefined) return;
    this.#apply(this.#raft, work.entries);
    this.#acknowledge(work.response);
  }

  #acknowledge(done: Acknowledgement): void {
    if (done.to === this.id) this.#raft?.acknowledge(done);
    else if (done.kind !== "append-done" && done.kind !== "apply-done") this.#send(done);
  }

  #write(
    hardState: StorageAppend["hardState"],
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
    isSynced: boolean,
  ): void {
    this.#storage.write(hardState, entries, snapshot);
    if (isSynced) this.#storage.sync();
    const [first] = entries;
    if (first) this.#invariants.wrote(entries, this.#storage.term(first.index - 1));
    if (snapshot) this.#restore(snapshot);
  }

  #restore(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined) {
      this.#invariants.restored(this.id, 0, "");
      this.#registers.restore("");
      this.#state = { ...this.#state, index: 0, digest: "" };
      return;
    }
    const { index, data, configuration: members } = snapshot;
    const text = Buffer.from(data).toString();
    const end = text.indexOf("\n");
    const digest = end < 0 ? text : text.slice(0, end);
    this.#registers.restore(end < 0 ? "" : text.slice(end + 1));
    this.#invariants.restored(this.id, index, digest);
    this.#state = { index, digest, members };
  }

  #apply(raft: RaftNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot has overtaken it.
      if (entry.index <= this.#state.index) continue;
      const digest = this.#invariants.applied(this.id, entry);
      const change = changeOf(entry);
      const result = change ? raft.applyChange(change) : undefined;
      const members = typeof result === "object" ? result : this.#state.members;
      this.#state = { index: entry.index, digest, members };
      const done = this.#registers.apply(Buffer.from(entry.data).toString("latin1"));
      if (done !== undefined) this.#clients.answered(done.name, done.answer);
    }
    this.#answerReads();
  }

  #answerReads(): void {
    const { index } = this.#state;
    for (const read of this.#reads)
      if (read.index <= index)
        this.#clients.answered(read.name, `=${this.#registers.read(read.key)}`);
    this.#reads = this.#reads.filter((read) => read.index > index);
  }
}
