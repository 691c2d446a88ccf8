import { changeOf } from "../../../src/consensus/raft/change.ts";
import { type Configuration, NO_MEMBERS } from "../../../src/consensus/raft/configuration.ts";
import { type Entry, NO_DATA } from "../../../src/consensus/raft/entry.ts";
import { MemoryLogStorage } from "../../../src/consensus/raft/memory-log-storage.ts";
import type { Message } from "../../../src/consensus/raft/message.ts";
import { RaftNode } from "../../../src/consensus/raft/node.ts";
import { defaultRaftOptions, type RaftOptions } from "../../../src/consensus/raft/options.ts";
import type { ReadState } from "../../../src/consensus/raft/reads.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";

/** A node of a group with what came out of it. */
export interface GroupNode {
  readonly raft: RaftNode;
  readonly storage: MemoryLogStorage;
  readonly applied: Entry[];
  readonly reads: ReadState[];
}

/** A few nodes whose messages arrive at once and in order, except for those that a test holds back. */
export class RaftGroup {
  readonly #nodes = new Map<number, GroupNode>();
  readonly #queue: Message[] = [];
  /** Messages that did not arrive. */
  readonly lost: Message[] = [];
  /** Says what does not arrive. */
  loses: (message: Message) => boolean = () => false;

  constructor(
    voters: readonly number[],
    options: Partial<RaftOptions> = {},
    members: Partial<Configuration> = {},
  ) {
    const configuration: Configuration = { ...NO_MEMBERS, voters, ...members };
    for (const id of [...voters, ...configuration.learners]) {
      const storage = new MemoryLogStorage();
      storage.setHardState({ term: 1, vote: 0, commit: 1 });
      storage.applySnapshot({ index: 1, term: 1, configuration, data: NO_DATA });
      this.add(id, storage, options);
    }
  }

  add(id: number, storage: MemoryLogStorage, options: Partial<RaftOptions> = {}): void {
    const all = { ...defaultRaftOptions, checkQuorum: false, preVote: false, ...options, id };
    const raft = new RaftNode(all, storage, new SeededRandom(id));
    this.#nodes.set(id, { raft, storage, applied: [], reads: [] });
  }

  node(id: number): GroupNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  raft(id: number): RaftNode {
    return this.node(id).raft;
  }

  /**
   * Makes it the leader, when what was promised before the start is over.
   * @throws {Error} when that does not work
   */
  elect(id: number): RaftNode {
    const raft = this.raft(id);
    for (const node of this.#nodes.values()) node.raft.setElectionTimeout(100);
    if (raft.campaign() === "leader-alive") {
      this.tick(defaultRaftOptions.electionTicks);
      raft.campaign();
    }
    this.settle();
    if (raft.status().role !== "leader") throw new Error(`node ${id} was not elected`);
    return raft;
  }

  /** Cuts nodes off from the others. */
  cutOff(...ids: readonly number[]): void {
    this.loses = ({ from, to }) => ids.includes(from) !== ids.includes(to);
  }

  /** Lets ticks pass for some, or for everybody, and settles after each. */
  tick(count: number, ids: readonly number[] = [...this.#nodes.keys()]): void {
    for (let at = 0; at < count; at++) {
      for (const id of ids) this.raft(id).tick();
      this.settle();
    }
  }

  /** Does everything that there is to do. */
  settle(): void {
    let isBusy = true;
    while (isBusy) {
      isBusy = false;
      for (const [id, node] of this.#nodes) {
        if (!node.raft.hasReady) continue;
        isBusy = true;
        this.#queue.push(...this.work(id));
      }
      for (const message of this.#queue.splice(0)) {
        isBusy = true;
        if (this.loses(message)) this.lost.push(message);
        else this.#nodes.get(message.to)?.raft.step(message);
      }
    }
  }

  /** Does what one node wants done. @returns what it sends */
  work(id: number): readonly Message[] {
    const { raft, storage, applied, reads } = this.node(id);
    const ready = raft.ready();
    if (ready.hardState) storage.setHardState(ready.hardState);
    if (ready.snapshot) storage.applySnapshot(ready.snapshot);
    storage.append(ready.entries);
    for (const entry of ready.committed) {
      applied.push(entry);
      const change = changeOf(entry);
      if (change) raft.applyChange(change);
    }
    reads.push(...ready.readStates);
    raft.advance();
    return [...ready.messages, ...ready.promises];
  }
}

/** The commands among entries, as text. */
export function commandsOf(entries: readonly Entry[]): string[] {
  const commands = entries.filter(({ kind, data }) => kind === "normal" && data.length > 0);
  return commands.map(({ data }) => Buffer.from(data).toString());
}
