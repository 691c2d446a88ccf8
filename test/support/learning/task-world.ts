import { decodeMessage, encodeMessage } from "../../../src/federated/tasks/message-codec.ts";
import { TaskBook } from "../../../src/federated/tasks/task-book.ts";
import { type GossipEffect, TaskGossip } from "../../../src/federated/tasks/task-gossip.ts";
import { completeSpec, type TaskSpec } from "../../../src/federated/tasks/task-spec.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { Signer } from "../../../src/platform/signer.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../src/simulator/memory-key-value-store.ts";
import { plainHasher } from "../../../src/simulator/plain-hasher.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

/** A spec that can be learned, with changes. */
export function specWith(changes: object = {}): TaskSpec {
  return completeSpec({
    name: "digits",
    model: {
      inputShape: [4],
      layers: [{ kind: "dense", units: 3 }],
      loss: "softmax-cross-entropy",
    },
    data: { kind: "dataset", name: "digits" },
    client: { kind: "local", learningRate: 0.1 },
    rounds: 10,
    ...changes,
  });
}

const PURPOSE = "test/head";

/** A head of the test's own: the name of its task and a round, signed by a committee of one. */
export function headOf(committee: Signer, task: string, round: number): Uint8Array {
  const text = new TextEncoder().encode(`${task}/${round}`);
  return new Uint8Array([...committee.sign(PURPOSE, text), ...text]);
}

/** One agent with its book. */
export interface TaskNode {
  readonly signer: Signer;
  readonly store: MemoryKeyValueStore;
  readonly book: TaskBook;
  readonly gossip: TaskGossip;
  /** `malformed` and `forged`, as they came. */
  readonly offences: string[];
}

/** Agents that tell each other of tasks over links that lose messages. */
export class TaskWorld {
  readonly keys = new VirtualKeys();
  readonly committee: Signer = this.keys.signer("committee");
  readonly nodes: TaskNode[];
  readonly links = new Set<string>();
  readonly #random: SeededRandom;
  #queue: { from: number; effect: GossipEffect }[] = [];
  lossRate = 0;
  knowsCommittee = true;
  messages = 0;

  constructor(seed: string, count: number) {
    this.#random = new SeededRandom(seed);
    this.nodes = Array.from({ length: count }, (_, at) => this.node(`${seed}/${at}`));
  }

  /** Not linked to anybody yet. */
  node(name: string, store = new MemoryKeyValueStore()): TaskNode {
    const signer = this.keys.signer(name);
    const offences: string[] = [];
    const book = new TaskBook({
      store,
      signer,
      hasher: plainHasher,
      logger: silentLogger,
      judgeHead: (bytes) => {
        if (!this.knowsCommittee) return "lacking";
        const text = bytes.subarray(64);
        const isRight = signer.verify(
          this.committee.publicKey,
          PURPOSE,
          text,
          bytes.subarray(0, 64),
        );
        if (!isRight) return "forged";
        const [task = "", round] = new TextDecoder().decode(text).split("/");
        return { task, round: Number(round) };
      },
    });
    const gossip = new TaskGossip({
      book,
      neighboursMax: 16,
      offence: (_peer, kind) => void offences.push(kind),
      onNews: () => undefined,
    });
    return { signer, store, book, gossip, offences };
  }

  link(one: number, other: number): void {
    if (one === other || this.links.has(`${one}-${other}`)) return;
    this.links.add(`${one}-${other}`).add(`${other}-${one}`);
    this.say(one, this.#node(one).gossip.linkUp(this.#node(other).signer.peerId));
    this.say(other, this.#node(other).gossip.linkUp(this.#node(one).signer.peerId));
  }

  cut(one: number, other: number): void {
    if (!this.links.delete(`${one}-${other}`)) return;
    this.links.delete(`${other}-${one}`);
    this.#node(one).gossip.linkDown(this.#node(other).signer.peerId);
    this.#node(other).gossip.linkDown(this.#node(one).signer.peerId);
  }

  say(from: number, effects: readonly GossipEffect[]): void {
    for (const effect of effects) this.#queue.push({ from, effect });
  }

  refresh(): void {
    for (const [at, { gossip }] of this.nodes.entries()) this.say(at, gossip.refresh());
  }

  /** Until nobody has anything to say. @throws Error when that does not come about */
  settle(messagesMax = 20_000): void {
    const most = this.messages + messagesMax;
    while (this.#queue.length > 0) {
      if (this.messages > most) throw new Error("they do not stop talking");
      this.step();
    }
  }

  /** Delivers, or loses, one message out of order. */
  step(): void {
    const at = Math.floor(this.#random.next() * this.#queue.length);
    const [next] = this.#queue.splice(at, 1);
    if (next === undefined) return;
    this.messages++;
    const { from, effect } = next;
    const to = this.nodes.findIndex(({ signer }) => signer.peerId === effect.to);
    const isLost = this.#random.next() < this.lossRate || !this.links.has(`${from}-${to}`);
    if (isLost) return;
    const message = decodeMessage(encodeMessage(effect.message));
    if (message === undefined) throw new Error("what one encodes another decodes");
    this.say(to, this.#node(to).gossip.message(this.#node(from).signer.peerId, message));
  }

  #node(at: number): TaskNode {
    const node = this.nodes[at];
    if (node === undefined) throw new Error(`no node ${at}`);
    return node;
  }
}
