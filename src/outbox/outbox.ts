import type { StoreEntry } from "../platform/key-value-store.ts";
import { entriesOf, readBlock } from "./block-reader.ts";
import { Committer } from "./committer.ts";
import { type DeadLetterDraft, decodeDeadLetter } from "./dead-letters.ts";
import { Entry } from "./entry.ts";
import { isExpired } from "./expiry.ts";
import { ExpirySweep } from "./expiry-sweep.ts";
import { DEAD_LETTERS, deadLetterKey, LANES, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import { QueueAge } from "./queue-age.ts";
import { listQueue } from "./queue-listing.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";
import type { DeadLetterPage, QueuePage, QueueStatus, QueueView, WrittenStatus } from "./view.ts";

/** What is read ahead at once: a block is 128 kB at most, unless one update is larger. */
const READ_BLOCKS_MAX = 256;
const READ_BYTES_MAX = 16 * 1024;

/**
 * The durable queue between what comes in and what goes out.
 *
 * - `append` settles when the update is on disk, not before.
 * - Order is kept per stream; streams of a higher priority leave first.
 * - What was leased and not acknowledged is leased again after `rewind` or a restart: at least once on the
 *   wire, and once for a receiver that looks at the id.
 */
export class Outbox implements QueueView {
  readonly #parts: OutboxParts;
  readonly #committer: Committer;
  readonly #sweep: ExpirySweep;
  readonly #age: QueueAge;
  #appendedListener: () => void = () => undefined;
  #paused = false;
  #rewinds = 0;

  private constructor(parts: OutboxParts, committer: Committer) {
    this.#parts = parts;
    this.#committer = committer;
    const { removals } = committer;
    this.#sweep = new ExpirySweep({ ...parts, removals, ledger: () => this.#ledger });
    this.#age = new QueueAge(parts);
  }

  /** Opens the books and counts what is queued. @throws StoreError */
  static async open(parts: OutboxParts): Promise<Outbox> {
    const ledger = await Ledger.load(parts.store, parts.clock.bootId);
    const outbox = new Outbox(
      parts,
      new Committer(parts, ledger, () => outbox.#appendedListener()),
    );
    outbox.#sweep.start();
    return outbox;
  }

  /**
   * Takes an update. `settle` is called once: with the numbered update when it is on disk, or with the
   * error that kept it out. Updates of one stream are numbered in the order of these calls.
   */
  append(
    draft: UpdateDraft,
    settle: (error: OutboxError | undefined, update?: Update) => void,
  ): void {
    this.#committer.append(draft, settle);
  }

  /** Keeps what can not become an update, with the reason. Settles when it is on disk. */
  deadLetter(draft: DeadLetterDraft, settle: (error: OutboxError | undefined) => void): void {
    this.#committer.deadLetter(draft, settle);
  }

  /** Calls `listener` whenever updates came on disk, or room for sending may have come about. */
  onAppended(listener: () => void): void {
    this.#appendedListener = listener;
  }

  /** Updates that could be leased at or above a priority. */
  available(priorityMin = 0): number {
    let sum = 0;
    for (let priority = priorityMin; priority < LANES; priority++)
      sum += this.#ledger.lane(priority).available;
    return sum;
  }

  /**
   * Leases up to `limit` updates in order of delivery. What is leased stays on disk until `acknowledge`
   * or `refuse`. Only one lease call may be under way at a time.
   * @throws StoreError
   */
  async lease(limit: number, priorityMin = 0): Promise<readonly Update[]> {
    const leased: Entry[] = [];
    const ledger = this.#ledger;
    const rewinds = this.#rewinds;
    for (let priority = LANES - 1; priority >= priorityMin && leased.length < limit; priority--) {
      const lane = ledger.lane(priority);
      while (leased.length < limit && lane.mayLease) {
        this.#leaseReady(lane, limit, leased);
        if (leased.length >= limit || !lane.mayLease) break;
        if (lane.isRead) {
          this.#committer.removals.noteLost(lane, lane.available);
          break;
        }
        await this.#read(lane);
        if (ledger !== this.#ledger || rewinds !== this.#rewinds) {
          // After a rewind nothing is, and comes again; books that were read back took over what was leased by then.
          const still = leased.filter((entry) => this.#leaseOf(entry) !== undefined);
          return [...still, ...(await this.lease(limit - still.length, priorityMin))];
        }
      }
    }
    return leased;
  }

  /**
   * The receiver has it: it leaves the outbox. Unknown updates (dropped meanwhile) are no error.
   * @param update as {@link lease} gave it
   */
  acknowledge(update: object): void {
    const entry = this.#leaseOf(update);
    if (entry !== undefined) this.#committer.removals.remove(entry, "acknowledged");
  }

  /** The receiver will never take it: it becomes a dead letter. @param update as {@link lease} gave it */
  refuse(update: object, code: string, reason: string): void {
    const entry = this.#leaseOf(update);
    if (entry !== undefined) this.#committer.removals.bury(entry, code, reason);
  }

  /** Streams of which something may wait at or above a priority, with the sequence that each was given last. */
  waitingStreams(limit: number, priorityMin = 0): ReadonlyMap<string, number> {
    return this.#ledger.waitingStreams(limit, priorityMin);
  }

  /** The connection is gone: everything leased and not acknowledged can be leased again, in order. */
  rewind(): void {
    this.#rewinds++;
    for (const lane of this.#ledger.lanes) lane.rewind();
  }

  status(): QueueStatus {
    const committer = this.#committer;
    const { ledger } = committer;
    const oldestObservedAtMs = this.#age.oldestAtMs(ledger);
    const { bytesMax, evict } = this.#parts.options;
    return {
      updates: ledger.updates,
      bytes: ledger.bytes,
      bytesMax,
      evict,
      paused: this.#paused,
      streams: ledger.streams.size,
      updatesByPriority: ledger.lanes
        .filter((lane) => lane.count > 0)
        .map((lane) => ({ priority: lane.priority, updates: lane.count }))
        .reverse(),
      ...(oldestObservedAtMs === undefined ? {} : { oldestObservedAtMs }),
      ...committer.counters,
      deadLetters: ledger.deadLetterCount,
      deadLetterBytes: ledger.deadLetterBytes,
      written: this.#written(),
      ...(committer.storeFault === undefined ? {} : { storeFault: committer.storeFault }),
    };
  }

  /** How far the day's flash budget is used (1: all of it), and how long commits wait for company by that. */
  get wear(): { readonly budgetUsed: number; readonly lingerMs: number } {
    const { used, lingerMs } = this.#committer.pacer;
    return { budgetUsed: used, lingerMs };
  }

  /** What the device's flash may take in a day, where the settings do not say it. */
  setFlashBudget(bytesPerDayMax: number): void {
    if (this.#parts.options.flashBytesPerDayMax === undefined)
      this.#committer.pacer.configure(bytesPerDayMax);
  }

  /** Shown in {@link status}; the uplink room decides what pausing means. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
  }

  list(options: { cursor?: string; limit: number; stream?: string }): Promise<QueuePage> {
    const { store, agentId } = this.#parts;
    return listQueue({ store, agentId, ledger: () => this.#ledger }, options);
  }

  async listDeadLetters(options: { cursor?: string; limit: number }): Promise<DeadLetterPage> {
    const page = await this.#parts.store.range({
      gte: options.cursor === undefined ? DEAD_LETTERS.gte : `d/${options.cursor}!`,
      lt: DEAD_LETTERS.lt,
      limit: options.limit,
    });
    const deadLetters = page.map(decodeDeadLetter);
    const last = deadLetters.at(-1);
    return page.length < options.limit || last === undefined
      ? { deadLetters }
      : { deadLetters, cursor: last.id };
  }

  async requeueDeadLetter(id: string): Promise<boolean> {
    const entry = await this.#deadLetterEntry(id);
    if (entry === undefined) return false;
    const letter = decodeDeadLetter(entry);
    const { payload, contentType, priority, topic } = letter;
    await new Promise<void>((resolve, reject) => {
      const draft = { stream: topic, payload, contentType, priority };
      const settle = (error: OutboxError | undefined): void =>
        error === undefined ? resolve() : reject(error);
      this.#committer.append(draft, settle, entry[0]);
    });
    return true;
  }

  async deleteDeadLetter(id: string): Promise<boolean> {
    const entry = await this.#deadLetterEntry(id);
    if (entry === undefined) return false;
    await this.#committer.removeDeadLetter(entry[0]);
    return true;
  }

  /** Commits what is pending and writes the books. The store itself is closed by whoever opened it. */
  async close(): Promise<void> {
    this.#sweep.stop();
    await this.#committer.close();
  }

  get #ledger(): Ledger {
    return this.#committer.ledger;
  }

  #written(): WrittenStatus {
    const { bytesPerDayMax, used, lingerMs } = this.#committer.pacer;
    const { bytes, syncs, deviceBytes } = this.#parts.store.written();
    return {
      bytes,
      syncs,
      ...(deviceBytes !== undefined && { deviceBytes }),
      bytesPerDayMax,
      budgetUsed: Math.round(used * 1_000) / 1_000,
      lingerMs: Math.round(lingerMs),
    };
  }

  #leaseOf(update: object): Entry | undefined {
    if (!(update instanceof Entry)) return undefined;
    return this.#ledger.lane(update.priority).leases.has(update) ? update : undefined;
  }

  #leaseReady(lane: Lane, limit: number, leased: Entry[]): void {
    const { clock } = this.#parts;
    while (leased.length < limit && lane.mayLease) {
      const entry = lane.lease();
      if (entry === undefined) return;
      if (isExpired(entry, clock)) this.#committer.removals.remove(entry, "expired");
      else if (this.#isSuperseded(entry)) this.#committer.removals.remove(entry, "superseded");
      else leased.push(entry);
    }
  }

  #isSuperseded({ key, stream, ordinal }: Entry): boolean {
    if (key === undefined) return false;
    const { id } = this.#ledger.streams.byName(stream) ?? {};
    return id !== undefined && this.#ledger.latest.isSuperseded(id, key, ordinal);
  }

  /** Brings the next blocks of a lane into memory. @throws StoreError */
  async #read(lane: Lane): Promise<void> {
    const { store, agentId } = this.#parts;
    // What is being written lies behind the end, and comes into memory of itself.
    const { generation, end } = lane;
    const page = await store.range({
      gte: updateKey(lane.priority, lane.unread),
      lt: updateKey(lane.priority, end),
      limit: READ_BLOCKS_MAX,
      bytesMax: READ_BYTES_MAX,
    });
    if (lane !== this.#ledger.lane(lane.priority) || generation !== lane.generation) return;
    if (lane.shedding) return;
    for (const stored of page) {
      const found = readBlock(stored, lane);
      const entries = entriesOf(found, this.#ledger, agentId);
      if (entries === undefined) this.#committer.removals.buryDamaged(lane, found, ...stored);
      lane.offer(entries ?? [], found.until);
    }
    if (page.length === 0) lane.unread = end;
  }

  async #deadLetterEntry(id: string): Promise<StoreEntry | undefined> {
    const ordinal = /^[0-9a-z]{1,10}$/.test(id) ? Number.parseInt(id, 36) : undefined;
    if (ordinal === undefined) return undefined;
    const key = deadLetterKey(ordinal);
    const value = await this.#parts.store.get(key);
    return value === undefined ? undefined : [key, value];
  }
}
