import type { RaftNode } from "../../../src/consensus/raft/node.ts";
import type { Random } from "../../../src/platform/random.ts";
import { commandOf, drawInput, History, outputOf, Registers } from "../consensus/registers.ts";

/** So many events later a client gives up what was not answered; whether it came about stays open. */
const PATIENCE_EVENTS = 500;

interface Client {
  /** Of the operation under way. */
  name: string | undefined;
  askedAt: number;
}

/** The state of one node's application: registers, and which proposals were applied, since some come twice. */
export class RegisterState {
  readonly #registers = new Registers();
  #done = new Set<string>();

  /** @returns the name and the answer, of a proposal that comes for the first time */
  apply(text: string): { readonly name: string; readonly answer: string } | undefined {
    const [, name, command] = /\|([^:|]+):([^|]+)$/.exec(text) ?? [];
    if (name === undefined || command === undefined || this.#done.has(name)) return undefined;
    this.#done.add(name);
    return { name, answer: this.#registers.apply(command) };
  }

  read(key: string): string {
    return this.#registers.read(key);
  }

  encode(): string {
    return `${this.#registers.encode()}\n${[...this.#done].join(" ")}`;
  }

  restore(text: string): void {
    const [values = "", done = ""] = text.split("\n");
    this.#registers.restore(values);
    this.#done = new Set(done.split(" "));
  }
}

/** Clients with one operation at a time each, at whichever node: writes are proposed, reads ask for their index first. */
export class RegisterClients {
  readonly history = new History();
  readonly #random: Random;
  readonly #clients: readonly Client[];
  readonly #keys = new Map<string, string>();
  #count = 0;

  constructor(random: Random, count: number) {
    this.#random = random;
    this.#clients = Array.from({ length: count }, () => ({ name: undefined, askedAt: 0 }));
  }

  /** A client does something, if it has waited long enough. @param now counts events */
  act(nodes: readonly { readonly raft: RaftNode | undefined }[], now: number): void {
    const client = this.#clients[this.#below(this.#clients.length)];
    if (client === undefined) return;
    if (client.name !== undefined && now - client.askedAt < PATIENCE_EVENTS) return;
    const leaders = nodes.filter(({ raft }) => raft?.status().role === "leader");
    const from = leaders.length > 0 && this.#random.next() < 0.6 ? leaders : nodes;
    const raft = from[this.#below(from.length)]?.raft;
    if (raft === undefined) return;
    const name = `op${this.#count++}`;
    const input = drawInput(this.#random, name);
    this.history.called(name, input);
    const asked =
      input.kind === "read"
        ? raft.readIndex(Buffer.from(name))
        : raft.propose(Buffer.from(`|${name}:${commandOf(input)}`));
    if (asked !== undefined) {
      this.history.withdrawn(name);
      return;
    }
    if (input.kind === "read") this.#keys.set(name, input.key);
    client.name = name;
    client.askedAt = now;
  }

  /** @returns the key that a read of this name is for; undefined when it is none of the clients' */
  keyOf(name: string): string | undefined {
    return this.#keys.get(name);
  }

  answered(name: string, answer: string): void {
    this.history.answered(name, outputOf(answer));
    for (const client of this.#clients) if (client.name === name) client.name = undefined;
  }

  #below(count: number): number {
    return Math.floor(this.#random.next() * count);
  }
}
