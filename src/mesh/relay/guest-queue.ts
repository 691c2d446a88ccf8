import { RelayedUpdate, type UpdateFields } from "./relayed-update.ts";

/** Updates that were stored together. */
export interface Chunk {
  /** Orders the chunks of a guest; never given twice. */
  readonly number: number;
  readonly bytes: number;
  readonly count: number;
  /** Undefined while they are on disk alone. */
  updates: readonly RelayedUpdate[] | undefined;
  next: Chunk | undefined;
}

/** What a lease came to. */
export interface Lease {
  readonly updates: readonly RelayedUpdate[];
  /** Has to be read from disk before there can be more. */
  readonly missing?: Chunk;
}

/** One guest's updates in the order in which they came and leave. What lies on disk alone has to be offered. Pure. */
export class GuestQueue {
  #first: Chunk | undefined;
  #last: Chunk | undefined;
  /** Updates of the first chunk that have settled, with all before them. */
  #settledInFirst = 0;
  #cursor: Chunk | undefined;
  #cursorAt = 0;
  #leased = 0;
  /** Updates that have not settled, as far as all before them have: what waits, and what is on the way. */
  count = 0;
  bytes = 0;
  /** Of chunks in memory. */
  loadedBytes = 0;

  /** Updates that could be leased, roughly: of chunks on disk all are counted. */
  get available(): number {
    return Math.max(0, this.count - this.#leased);
  }

  /** @param updates where they are to be kept in memory */
  add(place: Pick<Chunk, "number" | "bytes" | "count">, updates?: readonly UpdateFields[]): void {
    const chunk: Chunk = { ...place, updates: undefined, next: undefined };
    if (this.#last === undefined) this.#first = chunk;
    else this.#last.next = chunk;
    this.#last = chunk;
    this.#cursor ??= chunk;
    this.count += chunk.count;
    this.bytes += chunk.bytes;
    if (updates !== undefined) this.offer(chunk, updates);
  }

  /** The chunk has been read from disk. */
  offer(chunk: Chunk, updates: readonly UpdateFields[]): void {
    if (chunk.updates !== undefined) return;
    chunk.updates = updates.map((fields) => new RelayedUpdate(fields));
    this.loadedBytes += chunk.bytes;
  }

  lease(limit: number): Lease {
    const leased: RelayedUpdate[] = [];
    while (this.#cursor !== undefined && leased.length < limit) {
      const { updates } = this.#cursor;
      if (updates === undefined) {
        this.#leased += leased.length;
        return { updates: leased, missing: this.#cursor };
      }
      const update = updates[this.#cursorAt++];
      if (update === undefined) this.#advance();
      else if (!update.settled) leased.push(update);
    }
    this.#leased += leased.length;
    return { updates: leased };
  }

  /**
   * @param refusal why it will never be taken upstream; absent where it was delivered
   * @param passed is called for each update that has settled with all before it, in order
   * @returns chunks of which everything has settled
   */
  settle(
    update: RelayedUpdate,
    refusal: string | undefined,
    passed: (update: RelayedUpdate) => void,
  ): readonly Chunk[] {
    if (update.settled) return [];
    update.settled = true;
    update.refusal = refusal;
    const done: Chunk[] = [];
    while (this.#first !== undefined) {
      const next = this.#first.updates?.[this.#settledInFirst];
      if (next === undefined) {
        if (this.#first.updates === undefined) break;
        done.push(this.#dropFirst(this.#first));
      } else if (next.settled) {
        this.#settledInFirst++;
        this.count--;
        if (this.#leased > 0) this.#leased--;
        passed(next);
      } else break;
    }
    return done;
  }

  /** Everything that has not settled can be leased again. */
  rewind(): void {
    this.#cursor = this.#first;
    this.#cursorAt = this.#settledInFirst;
    this.#leased = 0;
  }

  #advance(): void {
    this.#cursor = this.#cursor?.next;
    this.#cursorAt = 0;
  }

  #dropFirst(first: Chunk): Chunk {
    this.#first = first.next;
    this.#settledInFirst = 0;
    if (this.#first === undefined) this.#last = undefined;
    if (this.#cursor === first) {
      this.#cursor = this.#first;
      this.#cursorAt = 0;
    }
    this.bytes -= first.bytes;
    this.loadedBytes -= first.bytes;
    return first;
  }
}
