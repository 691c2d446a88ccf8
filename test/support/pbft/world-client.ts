import type { Reply } from "../../../src/consensus/pbft/effects.ts";
import type { Request } from "../../../src/consensus/pbft/request.ts";

/** What a client does with its surroundings. */
export interface ClientHost {
  readonly weakQuorum: number;
  make(client: number, timestamp: number): Request;
  /** To one replica, or to all. */
  send(request: Request, to: number | "all"): void;
  after(delayMs: number, run: () => void): void;
  answered(client: number, timestamp: number, result: Uint8Array): void;
}

/** Until a client turns to all replicas. */
const PATIENCE_MS = 700;

/** An honest client: one request at a time, to one replica first and then to all, until f + 1 give the same answer. */
export class WorldClient {
  readonly #host: ClientHost;
  readonly #index: number;
  readonly #wanted: number;
  #request: Request | undefined;
  #answers = new Map<number, string>();
  #done = 0;

  constructor(host: ClientHost, index: number, wanted: number) {
    this.#host = host;
    this.#index = index;
    this.#wanted = wanted;
  }

  get isDone(): boolean {
    return this.#done >= this.#wanted;
  }

  /** Sends the next request. @param first the replica that it believes to be the primary */
  start(first: number): void {
    if (this.isDone) return;
    this.#answers = new Map();
    const request = this.#host.make(this.#index, this.#done + 1);
    this.#request = request;
    this.#host.send(request, first);
    this.#host.after(PATIENCE_MS, () => this.#repeat(request));
  }

  answered(replica: number, reply: Reply): void {
    const request = this.#request;
    if (request === undefined || reply.kind !== "executed") return;
    if (reply.client !== request.client || reply.timestamp !== request.timestamp) return;
    const result = Buffer.from(reply.result).toString("hex");
    this.#answers.set(replica, result);
    const same = [...this.#answers.values()].filter((one) => one === result);
    if (same.length < this.#host.weakQuorum) return;
    this.#done++;
    this.#host.answered(this.#index, request.timestamp, reply.result);
    this.#request = undefined;
    this.start(replica);
  }

  #repeat(request: Request): void {
    if (this.#request !== request) return;
    this.#host.send(request, "all");
    this.#host.after(PATIENCE_MS, () => this.#repeat(request));
  }
}
