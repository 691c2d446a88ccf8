// The worked example of docs/raft.md is what happens.
import t from "tap";
import { MemoryLogStorage } from "../../src/consensus/raft/memory-log-storage.ts";
import type { Message } from "../../src/consensus/raft/message.ts";
import { RaftNode } from "../../src/consensus/raft/node.ts";
import { defaultRaftOptions } from "../../src/consensus/raft/options.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { sameAsDocumented } from "../support/consensus/documented-trace.ts";

const NAMES = ["", "a", "b", "c"];
const MEMBERS = [1, 2, 3];
const NOTHING = new Uint8Array();

/** Three members, a message at a time, and a line for whatever happens. */
class Scene {
  readonly lines: string[] = [];
  readonly #nodes = new Map<number, RaftNode>();
  readonly #storages = new Map<number, MemoryLogStorage>();
  readonly #mail: Message[] = [];
  #tick = 0;

  constructor(timeouts: readonly number[]) {
    for (const id of MEMBERS) {
      const storage = new MemoryLogStorage();
      const configuration = {
        voters: MEMBERS,
        outgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      };
      storage.applySnapshot({ index: 1, term: 1, configuration, data: NOTHING });
      storage.setHardState({ term: 1, vote: 0, commit: 1 });
      this.#storages.set(id, storage);
      const options = { ...defaultRaftOptions, id };
      const node = new RaftNode(options, storage, new SeededRandom(`raft trace ${id}`), 1);
      node.setElectionTimeout(timeouts[id - 1] ?? 0);
      this.#nodes.set(id, node);
    }
  }

  /** Time goes by for everybody, and what is said arrives before more of it does. */
  run(ticks: number): void {
    for (let count = 0; count < ticks; count++) {
      this.#tick++;
      for (const [id, node] of this.#nodes) {
        node.tick();
        this.#perform(id);
      }
      this.#deliver();
    }
  }

  propose(id: number, value: string): void {
    this.#say(id, `is asked for ${value}`);
    this.#nodes.get(id)?.propose(Buffer.from(value));
    this.#perform(id);
    this.#deliver();
  }

  kill(id: number): void {
    this.#say(id, "is killed");
    this.#nodes.delete(id);
  }

  #deliver(): void {
    for (let message = this.#mail.shift(); message !== undefined; message = this.#mail.shift()) {
      const node = this.#nodes.get(message.to);
      const words = wordsOf(message);
      const isSeen = words !== undefined && node !== undefined;
      if (isSeen) this.#say(message.from, `→ ${NAMES[message.to]}  ${words}`);
      node?.step(message);
      this.#perform(message.to);
    }
  }

  #perform(id: number): void {
    const node = this.#nodes.get(id);
    const storage = this.#storages.get(id);
    if (node === undefined || storage === undefined) return;
    while (node.hasReady) {
      const { softState, hardState, entries, messages, promises, committed } = node.ready();
      if (softState !== undefined)
        this.#say(
          id,
          `is ${softState.role}${softState.leader === 0 ? "" : `, led by ${NAMES[softState.leader]}`}`,
        );
      if (hardState !== undefined || entries.length > 0)
        this.#say(
          id,
          `writes to disk: ${[
            ...(hardState === undefined
              ? []
              : [
                  `term ${hardState.term}`,
                  `vote for ${NAMES[hardState.vote] || "nobody"}`,
                  `committed up to ${hardState.commit}`,
                ]),
            ...entries.map(({ index, term, data }) => entryWords(index, term, data)),
          ].join(", ")}`,
        );
      storage.append(entries);
      if (hardState !== undefined) storage.setHardState(hardState);
      this.#mail.push(...messages, ...promises);
      for (const { index, term, data } of committed)
        this.#say(id, `applies ${entryWords(index, term, data)}`);
      node.advance();
    }
  }

  #say(id: number, what: string): void {
    this.lines.push(`tick ${String(this.#tick).padStart(2)}  ${NAMES[id]}  ${what}`);
  }
}

function entryWords(index: number, term: number, data: Uint8Array): string {
  const value = data.length === 0 ? "nothing" : `"${Buffer.from(data).toString()}"`;
  return `entry ${index} of term ${term} (${value})`;
}

/** @returns undefined for heartbeats, which would fill the page */
function wordsOf(message: Message): string | undefined {
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- what is left out would fill the page
  switch (message.kind) {
    case "pre-vote":
    case "vote":
      return `${message.kind} for term ${message.term}? my last entry is ${message.index} of term ${message.logTerm}`;
    case "pre-vote-response":
    case "vote-response":
      return message.reject ? `no, not in term ${message.term}` : `yes, in term ${message.term}`;
    case "append": {
      const { index, logTerm, entries, commit } = message;
      const list = entries.map(({ index: at, term, data }) => entryWords(at, term, data));
      return `append behind entry ${index} of term ${logTerm}: ${list.join(", ") || "nothing"}; committed up to ${commit}`;
    }
    case "append-response":
      return message.reject
        ? `no, not behind ${message.index}`
        : `has it up to entry ${message.index}`;
    default:
      return undefined;
  }
}

t.test("the worked example", async (t) => {
  // The first to lose patience is a; b is next.
  const scene = new Scene([10, 15, 19]);
  scene.run(11);
  scene.propose(2, "open the valve");
  scene.run(1);
  scene.kill(1);
  scene.run(32);
  sameAsDocumented(t, "raft.md", scene.lines);
});
