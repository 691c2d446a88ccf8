import { REQUEST_OVERHEAD_BYTES } from "./batch.ts";
import { areSameBytes } from "./bytes.ts";
import type { PbftOptions } from "./options.ts";
import type { Request } from "./request.ts";

/** Requests with genuine signatures that are not executed yet, the newest of each client, the longest waiting first. */
export class WaitingRequests {
  readonly #options: PbftOptions;
  readonly #byClient = new Map<string, Request>();
  /** To be proposed, in order; some may have been executed or replaced meanwhile. */
  #queue: Request[] = [];
  #queueStart = 0;

  constructor(options: PbftOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byClient.size;
  }

  get isFull(): boolean {
    return this.#byClient.size >= this.#options.waitingMax;
  }

  /** What has waited longest. */
  get oldest(): Request | undefined {
    for (const request of this.#byClient.values()) return request;
    return undefined;
  }

  /** The longest waiting first. */
  all(): Iterable<Request> {
    return this.#byClient.values();
  }

  of(client: string): Request | undefined {
    return this.#byClient.get(client);
  }

  /** @returns whether it is here, and its signature was found genuine */
  isKnown({ client, bytes }: Request): boolean {
    const known = this.#byClient.get(client);
    return known !== undefined && areSameBytes(known.bytes, bytes);
  }

  /** Takes a request whose signature is genuine; an earlier one of the same client gives way. */
  add(request: Request): void {
    this.#byClient.delete(request.client);
    this.#byClient.set(request.client, request);
  }

  /** The primary is to propose it. */
  enqueue(request: Request): void {
    this.#queue.push(request);
    // Clients that replace what they asked for leave entries behind that count no more.
    if (this.#queue.length - this.#queueStart > 2 * this.#options.waitingMax) {
      this.#queue = this.#queue.slice(this.#queueStart).filter((one) => this.#isWaiting(one));
      this.#queueStart = 0;
    }
  }

  /** A request of this client was executed: it, and what came before it, waits no more. */
  executed(client: string, timestamp: number): void {
    const known = this.#byClient.get(client);
    if (known !== undefined && known.timestamp <= timestamp) this.#byClient.delete(client);
  }

  /** Forgets what waits no more. @param isOld whether a request can not be executed any more */
  sweep(isOld: (request: Request) => boolean): void {
    for (const request of this.#byClient.values())
      if (isOld(request)) this.#byClient.delete(request.client);
  }

  /** A view begins: everything is to be proposed again, except what its first proposals hold. */
  requeue(isProposed: (request: Request) => boolean): void {
    this.#queue = [...this.#byClient.values()].filter((request) => !isProposed(request));
    this.#queueStart = 0;
  }

  /** The next batch for a primary to propose, within the bounds. @returns none when nothing waits */
  takeBatch(): Request[] {
    const { batchRequestsMax, batchBytesMax } = this.#options;
    const batch: Request[] = [];
    let bytes = 0;
    for (; this.#queueStart < this.#queue.length; this.#queueStart++) {
      const request = this.#queue[this.#queueStart];
      if (request === undefined || !this.#isWaiting(request)) continue;
      bytes += request.bytes.length + REQUEST_OVERHEAD_BYTES;
      const isTooMuch = batch.length === batchRequestsMax || bytes > batchBytesMax;
      if (isTooMuch && batch.length > 0) break;
      batch.push(request);
    }
    if (this.#queueStart === this.#queue.length || this.#queueStart > this.#options.waitingMax) {
      this.#queue = this.#queue.slice(this.#queueStart);
      this.#queueStart = 0;
    }
    return batch;
  }

  #isWaiting(request: Request): boolean {
    return this.#byClient.get(request.client) === request;
  }
}
