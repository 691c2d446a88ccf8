import type { Timer } from "../platform/clock.ts";
import type { StoreEntry, StoreOperation } from "../platform/key-value-store.ts";
import { StoreError } from "../platform/key-value-store.ts";
import { type DeadLetterDraft, encodeDeadLetter } from "./dead-letters.ts";
import { evict, givesWay } from "./eviction.ts";
import { DEAD_LETTERS, deadLetterKey, parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane, QueuedUpdate } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import {
  type NumberedUpdate,
  numberUpdates,
  type PendingAppend,
  type Settle,
} from "./numbering.ts";
import type { OutboxParts } from "./parts.ts";
import { OutboxError, type Update, type UpdateDraft } from "./update.ts";

/** Why an update leaves the outbox. */
export type Removal = "acknowledged" | "expired";

interface PendingLetter {
  readonly draft: DeadLetterDraft;
  /** Absent for a queued update that is buried: it must not be forgotten when a commit fails. */
  readonly settle?: (error: OutboxError | undefined) => void;
}

const BATCH_UPDATES_MAX = 4_096;
const PENDING_BYTES_MAX = 16 * 1024 * 1024;
/** Additions after which the books are written though nothing was removed. */
const BOOKS_EVERY_UPDATES = 4_096;
const REMOVALS_LINGER_MS = 50;
const REMOVALS_BATCH = 1_024;
const RELOAD_RETRY_MS = 1_000;
/** Deleted keys take disk space until LevelDB compacts them away. */
const COMPACT_AFTER_BYTES = 32 * 1024 * 1024;

/**
 * The outbox's only writer. Everything that asks to be written while a commit is under way goes into the
 * next one, so that one disk sync pays for hundreds of updates (group commit).
 */
export class Committer {
  readonly #parts: OutboxParts;
  readonly #appended: () => void;
  readonly counters = {
    appended: 0,
    acknowledged: 0,
    shed: 0,
    expired: 0,
    refused: 0,
    storeRecoveries: 0,
    commits: 0,
    lastCommitMs: 0,
  };
  ledger: Ledger;
  /** Set while the store can not be written. */
  storeFault: string | undefined;
  #appends: PendingAppend[] = [];
  #pendingBytes = 0;
  #letters: PendingLetter[] = [];
  /** Removed from the books, still on disk: waiting, and being written. */
  #removals = new Map<number, QueuedUpdate>();
  #removing = new Map<number, QueuedUpdate>();
  #lettersRemoved: StoreEntry[] = [];
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #sinceBooks = 0;
  #removedBytes = 0;
  #compaction: Promise<void> | undefined;
  #mustReload = false;
  #closed = false;

  constructor(parts: OutboxParts, ledger: Ledger, appended: () => void) {
    this.#parts = parts;
    this.ledger = ledger;
    this.#appended = appended;
  }

  append(draft: UpdateDraft, settle: Settle): void {
    const refusal = this.#refusal(draft);
    if (refusal !== undefined) {
      this.counters.refused++;
      settle(refusal);
      return;
    }
    this.#pendingBytes += draft.payload.length;
    this.#appends.push({ draft, settle });
    const lingerMs = this.#parts.options.commitLingerMs;
    if (lingerMs > 0 && this.#appends.length < BATCH_UPDATES_MAX) this.#kickLater(lingerMs);
    else this.#kick();
  }

  deadLetter(draft: DeadLetterDraft, settle: (error: OutboxError | undefined) => void): void {
    if (this.#closed) {
      settle(closedError());
      return;
    }
    this.#letters.push({ draft, settle });
    this.#kick();
  }

  /** Takes a leased update out; the disk follows soon, in one batch with others. */
  remove(queued: QueuedUpdate, why: Removal): void {
    this.counters[why]++;
    this.#takeOut(this.ledger.lane(queued.update.priority), queued);
  }

  /** Takes out an update that nobody leased. */
  expireUnleased(lane: Lane, queued: QueuedUpdate): void {
    this.counters.expired++;
    this.#takeOut(lane, queued);
  }

  /** Turns a leased update into a dead letter, in one commit. */
  bury(queued: QueuedUpdate, code: string, reason: string): void {
    const { update } = queued;
    const { agentId, stream, sequence, payload, contentType, priority } = update;
    const updateIdText = `${agentId}/${stream}/${sequence}`;
    const draft = { code, reason, topic: stream, payload, contentType, priority };
    this.#letters.push({ draft: { ...draft, updateId: updateIdText } });
    this.#takeOut(this.ledger.lane(priority), queued);
    this.#kick();
  }

  /** Sets an entry aside that can not be read, so that those behind it can leave. */
  buryDamaged(lane: Lane, [key, value]: StoreEntry): void {
    const { ordinal } = parseUpdateKey(key);
    this.#letters.push({
      draft: {
        code: "record.damaged",
        reason: `the record at ${key} can not be read; its bytes are kept as payload`,
        topic: "",
        payload: value,
        contentType: "application/octet-stream",
        priority: lane.priority,
      },
    });
    lane.cursor = Math.max(lane.cursor, ordinal + 1);
    const update = { priority: lane.priority, ordinal } as Update;
    this.#takeOut(lane, { update, bytes: key.length + value.length });
    this.#kick();
  }

  async removeDeadLetter(entry: StoreEntry): Promise<void> {
    this.#lettersRemoved.push(entry);
    this.#kick();
    await this.#running;
  }

  /** Whether the update is out of the books though its record may still be on disk. */
  isRemoved(ordinal: number): boolean {
    return this.#removals.has(ordinal) || this.#removing.has(ordinal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#kick();
    await this.#running;
    await this.#compaction;
    if (!this.#mustReload) await this.#parts.store.write(this.ledger.write([]), { durable: true });
  }

  #takeOut(lane: Lane, queued: QueuedUpdate): void {
    const { ordinal } = queued.update;
    lane.remove(ordinal, queued.bytes);
    this.#removals.set(ordinal, queued);
    if (this.#removals.size >= REMOVALS_BATCH) this.#kick();
    else this.#kickLater(REMOVALS_LINGER_MS);
  }

  #refusal(draft: UpdateDraft): OutboxError | undefined {
    if (this.#closed) return closedError();
    const { bytesMax, evict, updateBytesMax, streamsMax } = this.#parts.options;
    const bytes = draft.payload.length;
    if (bytes > updateBytesMax)
      return new OutboxError(
        "outbox.update-too-large",
        `payload of ${bytes} bytes is over outbox.updateBytesMax (${updateBytesMax})`,
      );
    if (this.#pendingBytes + bytes > PENDING_BYTES_MAX)
      return new OutboxError("outbox.busy", "too much is waiting for the disk; send slower");
    if (
      this.ledger.bytes + this.#pendingBytes + bytes > bytesMax &&
      !this.ledger.lanes.some((lane) => givesWay(lane, draft.priority, evict))
    )
      return new OutboxError(
        "outbox.full",
        `the outbox is full (outbox.bytesMax is ${bytesMax}) and nothing gives way under outbox.evict ${evict}`,
      );
    const { streams } = this.ledger;
    if (streams.size >= streamsMax && streams.byName(draft.stream) === undefined)
      return new OutboxError(
        "outbox.too-many-streams",
        `no more than ${streamsMax} streams (outbox.streamsMax); "${draft.stream}" would be one more`,
      );
    return undefined;
  }

  #kickLater(delayMs: number): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closed) return;
    this.#timer = this.#parts.clock.setTimer("outbox.commit", delayMs, () => {
      this.#timer = undefined;
      this.#kick();
    });
  }

  #kick(): void {
    if (this.#running !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    // Whoever else asks before this turn of the event loop ends comes along.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
        if (this.#removals.size > 0) this.#kickLater(REMOVALS_LINGER_MS);
        if (this.#appends.length + this.#letters.length > 0) this.#kick();
      });
  }

  async #run(): Promise<void> {
    while (
      this.#appends.length + this.#letters.length + this.#lettersRemoved.length > 0 ||
      this.#removals.size >= REMOVALS_BATCH ||
      (this.#removals.size > 0 && (this.#closed || !this.#mustReload))
    ) {
      if (this.#mustReload && !(await this.#reload())) {
        this.#failPending();
        return;
      }
      await this.#commit();
    }
  }

  async #commit(): Promise<void> {
    const { store, clock, options } = this.#parts;
    const appends = this.#takeAppends();
    const letters = this.#letters;
    this.#letters = [];
    this.#removing = this.#removals;
    this.#removals = new Map();
    const lettersRemoved = this.#lettersRemoved;
    this.#lettersRemoved = [];

    const operations: StoreOperation[] = [];
    let numbered: NumberedUpdate[] = [];
    try {
      for (const queued of this.#removing.values())
        operations.push({ type: "del", key: keyOf(queued.update) });
      await this.#writeLetters(letters, lettersRemoved, operations);
      numbered = numberUpdates(appends, this.ledger, this.#parts, operations);
      const shed = await evict(this.ledger, store, options, numbered, (ordinal) =>
        this.isRemoved(ordinal),
      );
      for (const key of shed.keys) operations.push({ type: "del", key });
      const removed = this.#removing.size + shed.keys.length + letters.length;
      this.#sinceBooks += numbered.length;
      if (removed + lettersRemoved.length > 0 || this.#sinceBooks >= BOOKS_EVERY_UPDATES) {
        operations.push(...this.ledger.write(numbered.map(({ queued }) => queued)));
        this.#sinceBooks = 0;
      }
      const startMs = clock.monotonicMs();
      await store.write(operations, { durable: numbered.length + letters.length > 0 });
      this.counters.lastCommitMs = clock.monotonicMs() - startMs;
      this.#noteShed(shed.keys.length, shed.bytes);
    } catch (error) {
      await this.#failed(error, appends, letters, lettersRemoved);
      return;
    }
    this.counters.commits++;
    this.storeFault = undefined;
    this.#countRemoved();
    this.#settle(numbered, letters);
  }

  #takeAppends(): PendingAppend[] {
    const all = this.#appends;
    this.#appends = all.length > BATCH_UPDATES_MAX ? all.splice(BATCH_UPDATES_MAX) : [];
    for (const { draft } of all) this.#pendingBytes -= draft.payload.length;
    return all;
  }

  async #writeLetters(
    letters: readonly PendingLetter[],
    removed: readonly StoreEntry[],
    operations: StoreOperation[],
  ): Promise<void> {
    const { ledger } = this;
    const { clock, store, options } = this.#parts;
    const drop = ([key, value]: StoreEntry): void => {
      operations.push({ type: "del", key });
      ledger.deadLetterCount--;
      ledger.deadLetterBytes -= key.length + value.length;
    };
    for (const entry of removed) drop(entry);
    for (const { draft } of letters) {
      const key = deadLetterKey(ledger.deadLetterNextOrdinal++);
      const value = encodeDeadLetter(draft, clock.wallMs());
      operations.push({ type: "put", key, value });
      ledger.deadLetterCount++;
      ledger.deadLetterBytes += key.length + value.length;
    }
    if (ledger.deadLetterBytes <= options.deadLetterBytesMax) return;
    for (const entry of await store.range({ ...DEAD_LETTERS, limit: 1_000 })) {
      if (ledger.deadLetterBytes <= options.deadLetterBytesMax) return;
      drop(entry);
    }
  }

  #settle(numbered: readonly NumberedUpdate[], letters: readonly PendingLetter[]): void {
    for (const { queued } of numbered) {
      const left = this.#parts.options.cacheBytesMax - this.ledger.cachedBytes;
      this.ledger.lane(queued.update.priority).add(queued, left);
    }
    this.counters.appended += numbered.length;
    for (const { settle, queued } of numbered) settle(undefined, queued.update);
    for (const { settle, draft } of letters) {
      const { code, reason, topic } = draft;
      this.#parts.events.emit("queue.dead-lettered", { code, reason, topic });
      settle?.(undefined);
    }
    if (numbered.length > 0) this.#appended();
  }

  async #failed(
    error: unknown,
    appends: readonly PendingAppend[],
    letters: readonly PendingLetter[],
    lettersRemoved: readonly StoreEntry[],
  ): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    this.storeFault = reason;
    this.#parts.logger.error("could not write the outbox; nothing of it was acknowledged", {
      reason,
      refused: appends.length,
    });
    // What left the books but not the disk is tried again with the next commit.
    this.#removals = new Map([...this.#removing, ...this.#removals]);
    this.#removing = new Map();
    this.#letters.unshift(...letters.filter(({ settle }) => settle === undefined));
    this.#lettersRemoved.unshift(...lettersRemoved);
    this.#mustReload = true;
    const failure = storeFailed(reason, error);
    this.counters.refused += appends.length;
    for (const { settle } of appends) settle(failure);
    for (const { settle } of letters) settle?.(failure);
    await this.#reload();
  }

  /** Reads the books back: after a failed write nobody knows what is on disk. */
  async #reload(): Promise<boolean> {
    const { store, clock, logger, events } = this.#parts;
    try {
      const ledger = await Ledger.load(store, clock.bootId);
      for (const [ordinal, queued] of this.#removals) {
        if ((await store.get(keyOf(queued.update))) === undefined) this.#removals.delete(ordinal);
        else ledger.lane(queued.update.priority).remove(ordinal, queued.bytes);
      }
      this.ledger = ledger;
      this.#mustReload = false;
      this.counters.storeRecoveries++;
      events.emit("queue.store-recovered", { updates: ledger.updates });
      this.#appended();
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.storeFault = reason;
      logger.error("could not read the outbox back; trying again", { reason });
      this.#kickLater(RELOAD_RETRY_MS);
      return false;
    }
  }

  #failPending(): void {
    const failure = storeFailed(this.storeFault ?? "the store is closed", undefined);
    const appends = this.#appends;
    const letters = this.#letters;
    this.#appends = [];
    this.#pendingBytes = 0;
    this.#letters = letters.filter(({ settle }) => settle === undefined);
    this.counters.refused += appends.length;
    for (const { settle } of appends) settle(failure);
    for (const { settle } of letters) settle?.(failure);
  }

  #noteShed(updates: number, bytes: number): void {
    if (updates === 0) return;
    this.counters.shed += updates;
    this.#removedBytes += bytes;
    const { evict } = this.#parts.options;
    this.#parts.events.emit("queue.shed", { updates, bytes, evict });
  }

  #countRemoved(): void {
    for (const { bytes } of this.#removing.values()) this.#removedBytes += bytes;
    this.#removing = new Map();
    if (this.#removedBytes < COMPACT_AFTER_BYTES || this.#compaction !== undefined) return;
    this.#removedBytes = 0;
    this.#compaction = this.#compact().finally(() => {
      this.#compaction = undefined;
    });
  }

  async #compact(): Promise<void> {
    for (const { priority, head } of this.ledger.lanes) {
      if (head === 0) continue;
      try {
        await this.#parts.store.compact(updateKey(priority, 0), updateKey(priority, head));
      } catch (error) {
        this.#parts.logger.warn("could not compact the outbox", { reason: String(error) });
        return;
      }
    }
  }
}

function keyOf(update: Pick<Update, "priority" | "ordinal">): string {
  return updateKey(update.priority, update.ordinal);
}

function closedError(): OutboxError {
  return new OutboxError("outbox.closed", "the agent is stopping");
}

function storeFailed(reason: string, cause: unknown): OutboxError {
  const full = cause instanceof StoreError && cause.code === "store.full";
  const fix = full ? "; free space on the data directory's disk or lower outbox.bytesMax" : "";
  return new OutboxError("outbox.store-failed", `not stored: ${reason}${fix}`, { cause });
}
