import type { Clock, Timer } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { ReceivedUpdate, UpdateSink } from "../platform/update-sink.ts";
import {
  decodeJournalEntry,
  type JournalEntry,
  journalKey,
  numberOf,
  sequenceOf,
  updateKey,
} from "./layout.ts";
import { textOf } from "./reading.ts";
import { receivedUpdate, type TakenUpdate } from "./stored-update.ts";
import type { StreamTable } from "./stream-table.ts";

/** How far the sink is. */
export interface FollowerStatus {
  readonly name: string;
  readonly delivered: number;
  /** Commits that it has not been given yet. */
  readonly commitsBehind: number;
  /** Commits that retention removed before the sink took them. */
  readonly commitsMissed: number;
  /** Why the latest delivery failed, until one succeeds. */
  readonly fault?: string;
}

interface Parts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sink: UpdateSink;
  readonly table: () => StreamTable;
}

/** Whole commits on their way to the sink. */
interface Load {
  readonly updates: readonly ReceivedUpdate[];
  /** The commit that follows them. */
  readonly next: number;
}

interface Place {
  readonly commit: number;
  readonly mark: number;
}

const HOT_UPDATES_MAX = 20_000;
const UPDATES_AT_ONCE = 4_096;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;

/**
 * Hands every update to a sink, once and in order of arrival. The journal of commits is the queue, and the place in
 * it is kept in the store; commits that were just made come from memory.
 */
export class Follower {
  readonly #parts: Parts;
  readonly #key: string;
  #commit = 1;
  #hot: { readonly commit: number; readonly taken: readonly TakenUpdate[] }[] = [];
  #hotUpdates = 0;
  #running: Promise<void> | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  /** What is being delivered, and how much of it the sink has taken: after a failure it goes on from there. */
  #load: Load | undefined;
  #loadTaken = 0;
  #place: Place | undefined;
  #delivered = 0;
  #missed = 0;
  #fault: string | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#key = `f/${Buffer.from(parts.sink.name).toString("hex")}`;
  }

  /** Finds its place and begins. @throws StoreError, and what the sink throws */
  async start(): Promise<void> {
    const { store, sink, table } = this.#parts;
    const kept = await store.get(this.#key);
    const place = kept === undefined ? undefined : (JSON.parse(textOf(kept)) as Place);
    this.#commit = place?.commit ?? table().counters.journalFirst;
    const mark = await sink.resume(place?.mark);
    this.#place = { commit: this.#commit, mark };
    // Before the first delivery: a crash right after it has to find the mark to go back to.
    await this.#keepPlace(true);
    this.#wake();
  }

  /** A commit is durable. */
  notice(commit: number, taken: readonly TakenUpdate[]): void {
    if (this.#hotUpdates > HOT_UPDATES_MAX) this.#cool();
    this.#hot.push({ commit, taken });
    this.#hotUpdates += taken.length;
    this.#wake();
  }

  status(): FollowerStatus {
    return {
      name: this.#parts.sink.name,
      delivered: this.#delivered,
      commitsBehind: this.#parts.table().counters.journalNext - this.#commit,
      commitsMissed: this.#missed,
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
    };
  }

  /** Waits for the delivery under way, and makes sure of its place. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    await this.#running;
    await this.#keepPlace(true).catch(() => undefined);
  }

  #wake(): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isBehind()) this.#wake();
    });
  }

  #isBehind(): boolean {
    return this.#commit < this.#parts.table().counters.journalNext;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#closed && this.#isBehind()) await this.#step();
    } catch (error) {
      this.#failures++;
      this.#cool();
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#fault)
        this.#parts.logger.error("updates could not be passed on; trying again", {
          sink: this.#parts.sink.name,
          reason,
        });
      this.#fault = reason;
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures);
      this.#retry = this.#parts.clock.setTimer("receiver.sink", delayMs, () => {
        this.#retry = undefined;
        this.#wake();
      });
    }
  }

  /** One commit from the store, or as many from memory as go together. */
  async #step(): Promise<void> {
    const { sink } = this.#parts;
    this.#load ??= this.#takeHot() ?? (await this.#fromStore());
    const { updates, next } = this.#load;
    const portion = sink.batchUpdatesMax ?? UPDATES_AT_ONCE;
    let mark: number | undefined;
    while (this.#loadTaken < updates.length) {
      const part = updates.slice(this.#loadTaken, this.#loadTaken + portion);
      mark = await sink.deliver(part);
      this.#loadTaken += part.length;
      this.#delivered += part.length;
    }
    this.#load = undefined;
    this.#loadTaken = 0;
    this.#fault = undefined;
    this.#commit = next;
    this.#failures = 0;
    if (mark === undefined) return;
    this.#place = { commit: next, mark };
    await this.#keepPlace(false);
  }

  /** Not synced as a rule: after power loss the sink is given the older mark, and goes back to it. */
  async #keepPlace(durable: boolean): Promise<void> {
    if (this.#place === undefined) return;
    const value = Buffer.from(JSON.stringify(this.#place));
    await this.#parts.store.write([{ type: "put", key: this.#key, value }], { durable });
  }

  #takeHot(): Load | undefined {
    while ((this.#hot[0]?.commit ?? this.#commit) < this.#commit) this.#shiftHot();
    let next = this.#commit;
    const updates: ReceivedUpdate[] = [];
    while (this.#hot[0]?.commit === next && updates.length < UPDATES_AT_ONCE) {
      for (const taken of this.#shiftHot()) updates.push(receivedUpdate(taken));
      next++;
    }
    return next === this.#commit ? undefined : { updates, next };
  }

  #shiftHot(): readonly TakenUpdate[] {
    const taken = this.#hot.shift()?.taken ?? [];
    this.#hotUpdates -= taken.length;
    return taken;
  }

  #cool(): void {
    this.#hot = [];
    this.#hotUpdates = 0;
  }

  async #fromStore(): Promise<Load> {
    const { store, table } = this.#parts;
    const end = table().counters.journalNext;
    const range = { gte: journalKey(this.#commit), lt: journalKey(end), limit: 1 };
    const [found] = await store.range(range);
    const commit = found === undefined ? end : numberOf(found[0]);
    this.#missed += commit - this.#commit;
    if (found === undefined) return { updates: [], next: end };
    return { updates: await this.#updatesOf(decodeJournalEntry(found[1])), next: commit + 1 };
  }

  async #updatesOf({ streams }: JournalEntry): Promise<ReceivedUpdate[]> {
    const { store, table } = this.#parts;
    const updates: ReceivedUpdate[] = [];
    for (const [number, sequences] of streams) {
      const state = table().byNumber(number);
      // Forgotten meanwhile.
      if (state === undefined) continue;
      const wanted = new Set(sequences);
      const [first = 0] = sequences;
      const last = sequences.at(-1) ?? first;
      const isRun = last - first === sequences.length - 1;
      const entries = isRun
        ? await store.range({
            gte: updateKey(number, first),
            lt: updateKey(number, last + 1),
            limit: sequences.length,
          })
        : await Promise.all(
            sequences.map(async (sequence) => {
              const key = updateKey(number, sequence);
              return [key, (await store.get(key)) ?? new Uint8Array()] as const;
            }),
          );
      for (const [key, value] of entries) {
        const sequence = sequenceOf(key);
        if (value.length === 0 || !wanted.has(sequence)) continue;
        updates.push(receivedUpdate({ of: state, sequence, tail: textOf(value) }));
      }
    }
    return updates;
  }
}
