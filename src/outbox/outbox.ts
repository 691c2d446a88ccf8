import type { Timer } from "../platform/clock.ts";
import type { StoreEntry } from "../platform/key-value-store.ts";
import { entriesOf, readBlock } from "./block-reader.ts";
import { blockStart } from "./block-search.ts";
import { Committer } from "./committer.ts";
import { type DeadLetterDraft, decodeDeadLetter } from "./dead-letters.ts";
import { Entry } from "./entry.ts";
import { isExpired } from "./expiry.ts";
import { DEAD_LETTERS, deadLetterKey, LANES, laneEnd, parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";
import type { DeadLetterPage, QueuePage, QueueStatus, QueueView, WrittenStatus } from "./view.ts";

const SWEEP_INTERVAL_MS = 30_000;
const SWEEP_BLOCKS_MAX = 256;
/** What is read ahead at once: a block is 128 kB at most, unless one update is larger. */
const READ_BLOCKS_MAX = 256;
const READ_BYTES_MAX = 16 * 1024;
const LIST_SCAN_MAX = 5_000;
/** Pages are read by count and by size: a device may have less memory than a page of large updates. */
const PAGE_BYTES_MAX = 1024 * 1024;

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
  #appendedListener: () => void = () => undefined;
  #sweeper: Timer | undefined;
  #sweepFrom: { priority: number; ordinal: number } = { priority: LANES - 1, ordinal: 0 };
  #oldestAtMs: number | undefined;
  #oldestReadMonotonicMs = Number.NEGATIVE_INFINITY;
  #paused = false;
  #rewinds = 0;
  /** Something that expires may be queued; without it there is nothing to sweep for. */
  #mayExpire = true;

  private constructor(parts: OutboxParts, committer: Committer) {
    this.#parts = parts;
    this.#committer = committer;
  }

  /** Opens the books and counts what is queued. @throws StoreError */
  static async open(parts: OutboxParts): Promise<Outbox> {
    const ledger = await Ledger.load(parts.store, parts.clock.bootId);
    const outbox = new Outbox(
      parts,
      new Committer(parts, ledger, () => outbox.#appendedListener()),
    );
    outbox.#scheduleSweep();
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
    if (draft.expiresAfterMs !== undefined && draft.expiresAfterMs > 0) this.#mayExpire = true;
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
        // What was leased by then can be leased again, and comes first.
        if (ledger !== this.#ledger || rewinds !== this.#rewinds)
          return this.lease(limit, priorityMin);
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
    this.#refreshOldest();
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
      ...(this.#oldestAtMs === undefined ? {} : { oldestObservedAtMs: this.#oldestAtMs }),
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

  async list(options: { cursor?: string; limit: number; stream?: string }): Promise<QueuePage> {
    const { store, agentId } = this.#parts;
    const updates: Update[] = [];
    const { priority: from, ordinal } = parseUpdateKey(options.cursor ?? updateKey(LANES - 1, 0));
    let next = ordinal;
    let scanned = 0;
    for (let priority = from; priority >= 0; priority--) {
      const lane = this.#ledger.lane(priority);
      let gte = await blockStart(store, priority, next);
      for (;;) {
        const range = { gte, lt: laneEnd(priority), limit: 64, bytesMax: PAGE_BYTES_MAX };
        const page = await store.range(range);
        if (page.length === 0) break;
        for (const stored of page) {
          const found = readBlock(stored, lane);
          gte = updateKey(priority, found.until);
          for (const entry of entriesOf(found, this.#ledger, agentId) ?? []) {
            if (entry.ordinal < next) continue;
            scanned++;
            if (options.stream === undefined || entry.stream === options.stream)
              updates.push(entry);
            if (updates.length === options.limit || scanned === LIST_SCAN_MAX)
              return { updates, cursor: updateKey(priority, entry.ordinal + 1) };
          }
        }
      }
      next = 0;
    }
    return { updates };
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
    this.#sweeper?.cancel();
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

  #scheduleSweep(): void {
    this.#sweeper = this.#parts.clock.setTimer("outbox.sweep", SWEEP_INTERVAL_MS, () => {
      const sweep = this.#mayExpire ? this.#sweep() : Promise.resolve();
      sweep
        .catch((error: unknown) =>
          this.#parts.logger.warn("could not look for expired updates", { reason: String(error) }),
        )
        .finally(() => this.#scheduleSweep());
    });
  }

  /** Walks over the queue piece by piece, so that what has expired goes even when nothing is sent. */
  async #sweep(): Promise<void> {
    const { clock, store } = this.#parts;
    const isOut = (entry: Entry): boolean => isExpired(entry, clock);
    for (const lane of this.#ledger.lanes) this.#committer.removals.expireReady(lane, isOut);
    const { priority, ordinal } = this.#sweepFrom;
    const lane = this.#ledger.lane(priority);
    const from = Math.max(ordinal, lane.unread);
    const { generation, end } = lane;
    const page =
      from >= end
        ? []
        : await store.range({
            gte: updateKey(priority, from),
            lt: updateKey(priority, end),
            limit: SWEEP_BLOCKS_MAX,
            bytesMax: PAGE_BYTES_MAX,
          });
    // What was read may be out of date by now; the next sweep looks again.
    if (lane !== this.#ledger.lane(priority) || generation !== lane.generation || lane.shedding)
      return;
    let next = from;
    for (const stored of page) {
      const found = readBlock(stored, lane);
      next = found.until;
      // It came into memory while the page was read.
      if (found.block.first < lane.unread) continue;
      const entries = entriesOf(found, this.#ledger, this.#parts.agentId) ?? [];
      if (entries.length > 0 && entries.every(isOut))
        this.#committer.removals.expireBlock(lane, found);
    }
    if (page.length > 0) this.#sweepFrom = { priority, ordinal: next };
    else this.#sweepFrom = { priority: priority === 0 ? LANES - 1 : priority - 1, ordinal: 0 };
  }

  #refreshOldest(): void {
    const { clock, store } = this.#parts;
    const head = this.#ledger.lanes
      .filter((lane) => lane.count > 0)
      .reduce<Lane | undefined>((a, b) => (a === undefined || b.head < a.head ? b : a), undefined);
    if (head === undefined) {
      this.#oldestAtMs = undefined;
      return;
    }
    const { oldest } = head;
    if (oldest !== undefined) {
      this.#oldestAtMs = oldest.observedAtMs;
      return;
    }
    // Reading the disk takes its time: the next look at the status gets the answer.
    if (clock.monotonicMs() - this.#oldestReadMonotonicMs < 1_000) return;
    this.#oldestReadMonotonicMs = clock.monotonicMs();
    store
      .range({
        gte: updateKey(head.priority, head.unread),
        lt: laneEnd(head.priority),
        limit: 1,
      })
      .then(([entry]) => {
        if (entry !== undefined) this.#oldestAtMs = readBlock(entry, head).header?.observedAtMs;
      })
      .catch((error: unknown) =>
        this.#parts.logger.debug("could not read the oldest update", { reason: String(error) }),
      );
  }
}
