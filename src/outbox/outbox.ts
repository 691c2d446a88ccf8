import type { Timer } from "../platform/clock.ts";
import type { StoreEntry } from "../platform/key-value-store.ts";
import { Committer, type Removal } from "./committer.ts";
import { type DeadLetterDraft, decodeDeadLetter } from "./dead-letters.ts";
import { isExpired } from "./expiry.ts";
import { DEAD_LETTERS, deadLetterKey, LANES, laneEnd, parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane, QueuedUpdate } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import { decodeRecord } from "./record-codec.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";
import type { DeadLetterPage, QueuePage, QueueStatus, QueueView } from "./view.ts";

const SWEEP_INTERVAL_MS = 30_000;
const SWEEP_UPDATES_MAX = 2_000;
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
    const leased: Update[] = [];
    const ledger = this.#ledger;
    const rewinds = this.#rewinds;
    for (let priority = LANES - 1; priority >= priorityMin && leased.length < limit; priority--) {
      const lane = ledger.lane(priority);
      while (leased.length < limit && lane.available > 0 && !lane.shedding) {
        const before = leased.length;
        this.#leaseCached(lane, limit, leased);
        if (leased.length >= limit || lane.available === 0) break;
        const moved = await this.#leaseFromDisk(lane, limit, leased);
        // What was leased by then can be leased again, and comes first.
        if (ledger !== this.#ledger || rewinds !== this.#rewinds)
          return this.lease(limit, priorityMin);
        if (!moved && leased.length === before) break;
      }
    }
    return leased;
  }

  /** The receiver has it: it leaves the outbox. Unknown updates (dropped meanwhile) are no error. */
  acknowledge(update: Update): void {
    const queued = this.#leaseOf(update);
    if (queued !== undefined) this.#remove(queued, "acknowledged");
  }

  /** The receiver will never take it: it becomes a dead letter. */
  refuse(update: Update, code: string, reason: string): void {
    const queued = this.#leaseOf(update);
    if (queued === undefined) return;
    this.#committer.bury(queued, code, reason);
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
      ...(committer.storeFault === undefined ? {} : { storeFault: committer.storeFault }),
    };
  }

  /** Shown in {@link status}; the uplink room decides what pausing means. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
  }

  async list(options: { cursor?: string; limit: number; stream?: string }): Promise<QueuePage> {
    const updates: Update[] = [];
    let from = options.cursor ?? updateKey(LANES - 1, 0);
    let scanned = 0;
    while (updates.length < options.limit && scanned < LIST_SCAN_MAX) {
      const page = await this.#parts.store.range({
        gte: from,
        lt: laneEnd(0),
        limit: 500,
        bytesMax: PAGE_BYTES_MAX,
      });
      if (page.length === 0) return { updates };
      for (const entry of page) {
        scanned++;
        from = `${entry[0]}!`;
        const update = this.#committer.isRemoved(parseUpdateKey(entry[0]).ordinal)
          ? undefined
          : this.#decode(entry)?.update;
        if (update === undefined) continue;
        if (options.stream !== undefined && update.stream !== options.stream) continue;
        updates.push(update);
        if (updates.length === options.limit) break;
      }
    }
    return { updates, cursor: from };
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
      this.append({ stream: topic, payload, contentType, priority }, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
    await this.#committer.removeDeadLetter(entry[0]);
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

  #leaseOf(update: Update): QueuedUpdate | undefined {
    return this.#ledger.lane(update.priority).leases.get(update.ordinal);
  }

  #leaseCached(lane: Lane, limit: number, leased: Update[]): void {
    while (leased.length < limit) {
      const queued = lane.leaseCached();
      if (queued === undefined) return;
      if (this.#committer.isRemoved(queued.update.ordinal)) {
        lane.leases.delete(queued.update.ordinal);
        continue;
      }
      if (isExpired(queued.update, this.#parts.clock)) this.#remove(queued, "expired");
      else leased.push(queued.update);
    }
  }

  /** @returns whether the lane's cursor moved. */
  async #leaseFromDisk(lane: Lane, limit: number, leased: Update[]): Promise<boolean> {
    const from = lane.cursor;
    const until = lane.cachedFrom;
    const { rewinds } = lane;
    const page = await this.#parts.store.range({
      gte: updateKey(lane.priority, from),
      lt: updateKey(lane.priority, until),
      limit: limit - leased.length,
      bytesMax: 4 * 1024 * 1024,
    });
    if (lane !== this.#ledger.lane(lane.priority) || rewinds !== lane.rewinds) return false;
    if (lane.shedding) return false;
    for (const entry of page) {
      const { ordinal } = parseUpdateKey(entry[0]);
      // What was evicted or removed while the disk was being read is not there any more.
      if (ordinal < lane.cursor) continue;
      if (this.#committer.isRemoved(ordinal)) {
        lane.cursor = ordinal + 1;
        continue;
      }
      const queued = this.#decode(entry);
      if (queued === undefined) {
        this.#committer.buryDamaged(lane, entry);
        continue;
      }
      lane.lease(queued);
      if (isExpired(queued.update, this.#parts.clock)) this.#remove(queued, "expired");
      else leased.push(queued.update);
    }
    if (page.length === 0 && lane.cursor < until) lane.cursor = until;
    return lane.cursor > from;
  }

  #remove(queued: QueuedUpdate, why: Removal): void {
    this.#committer.remove(queued, why);
  }

  /** @returns undefined when the entry can not be read. */
  #decode(entry: StoreEntry): QueuedUpdate | undefined {
    const [key, value] = entry;
    try {
      const { streamId, boot, ...record } = decodeRecord(value);
      const stream = this.#ledger.streams.byId(streamId);
      if (stream === undefined) return undefined;
      const { priority, ordinal } = parseUpdateKey(key);
      const update: Update = {
        ...record,
        agentId: this.#parts.agentId,
        stream: stream.name,
        bootId: this.#ledger.bootName(boot),
        priority,
        ordinal,
      };
      return { update, bytes: key.length + value.length };
    } catch {
      return undefined;
    }
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
    const { priority, ordinal } = this.#sweepFrom;
    const lane = this.#ledger.lane(priority);
    const from = Math.max(ordinal, lane.cursor);
    const { rewinds } = lane;
    const page = await this.#parts.store.range({
      gte: updateKey(priority, from),
      lt: laneEnd(priority),
      limit: SWEEP_UPDATES_MAX,
      bytesMax: PAGE_BYTES_MAX,
    });
    // What was read may be gone by now; the next sweep looks again.
    if (lane !== this.#ledger.lane(priority) || rewinds !== lane.rewinds) return;
    let next = from;
    for (const entry of page) {
      next = parseUpdateKey(entry[0]).ordinal + 1;
      // Leased ones are under way; what was leased while the page was read is too.
      if (next <= lane.cursor || this.#committer.isRemoved(next - 1)) continue;
      const queued = this.#decode(entry);
      if (queued !== undefined && isExpired(queued.update, this.#parts.clock))
        this.#committer.expireUnleased(lane, queued);
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
    const inMemory = head.peekOldest();
    if (inMemory !== undefined) {
      this.#oldestAtMs = inMemory.observedAtMs;
      return;
    }
    // Reading the disk takes its time: the next look at the status gets the answer.
    if (clock.monotonicMs() - this.#oldestReadMonotonicMs < 1_000) return;
    this.#oldestReadMonotonicMs = clock.monotonicMs();
    store
      .range({
        gte: updateKey(head.priority, head.head),
        lt: laneEnd(head.priority),
        limit: 1,
      })
      .then(([entry]) => {
        if (entry !== undefined) this.#oldestAtMs = this.#decode(entry)?.update.observedAtMs;
      })
      .catch((error: unknown) =>
        this.#parts.logger.debug("could not read the oldest update", { reason: String(error) }),
      );
  }
}
