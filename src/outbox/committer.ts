import type { Timer } from "../platform/clock.ts";
import type { StoreEntry, StoreOperation } from "../platform/key-value-store.ts";
import {
  admissionFault,
  admit,
  busyFault,
  closedError,
  fullFault,
  recordBytesMax,
  storeFailed,
} from "./admission.ts";
import { Compactor } from "./compactor.ts";
import {
  changeDeadLetters,
  type DeadLetterDraft,
  damagedLetter,
  refusedLetter,
} from "./dead-letters.ts";
import { evict, type Shed } from "./eviction.ts";
import { parseUpdateKey, updateKey } from "./keys.ts";
import type { Lane, QueuedUpdate } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import {
  type NumberedUpdate,
  numberUpdates,
  type PendingAppend,
  type Settle,
} from "./numbering.ts";
import type { OutboxParts } from "./parts.ts";
import {
  BATCH_UPDATES_MAX,
  type PendingLetter,
  type Requests,
  WaitingRequests,
} from "./requests.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";

/** Why an update leaves the outbox. */
export type Removal = "acknowledged" | "expired";

/** Additions after which the books are written though nothing was removed. */
const BOOKS_EVERY_UPDATES = 4_096;
const REMOVALS_LINGER_MS = 50;
const REMOVALS_BATCH = 1_024;
/** A store that has just failed is left alone for so long: every failure costs it a reopening. */
const REST_AFTER_FAILURE_MS = 500;

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
  readonly #waiting = new WaitingRequests();
  /** Removed from the books, still on disk: waiting, and being written. */
  #removals = new Map<number, QueuedUpdate>();
  #removing = new Map<number, QueuedUpdate>();
  /** Dropped to make room, and being deleted. */
  #shed: Shed = newShed();
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #sinceBooks = 0;
  readonly #compactor: Compactor;
  #mustReload = false;
  #resting = false;
  #closed = false;

  constructor(parts: OutboxParts, ledger: Ledger, appended: () => void) {
    this.#parts = parts;
    this.ledger = ledger;
    this.#appended = appended;
    this.#compactor = new Compactor(parts);
  }

  append(draft: UpdateDraft, settle: Settle): void {
    const { options } = this.#parts;
    const refusal = this.#closed
      ? closedError()
      : admissionFault(draft, this.ledger, options, this.#waiting.bytes);
    if (refusal !== undefined) {
      this.counters.refused++;
      settle(refusal);
      return;
    }
    this.#waiting.addAppend({ draft, settle, bytes: recordBytesMax(draft) });
    const lingerMs = options.commitLingerMs;
    if (lingerMs > 0 && this.#waiting.updates < BATCH_UPDATES_MAX) this.#kickLater(lingerMs);
    else this.#kick();
  }

  deadLetter(draft: DeadLetterDraft, settle: (error: OutboxError | undefined) => void): void {
    const refusal = this.#closed
      ? closedError()
      : busyFault(this.#waiting.bytes + draft.payload.length);
    if (refusal !== undefined) {
      settle(refusal);
      return;
    }
    this.#waiting.addLetter(draft, settle);
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
    // It may lie in memory, from where it would be leased once more.
    lane.clearCache();
  }

  /** Turns a leased update into a dead letter, in one commit. */
  bury(queued: QueuedUpdate, code: string, reason: string): void {
    const { priority } = queued.update;
    this.#waiting.addBurial(refusedLetter(queued.update, code, reason));
    this.#takeOut(this.ledger.lane(priority), queued);
    this.#kick();
  }

  /** Sets an entry aside that can not be read, so that those behind it can leave. */
  buryDamaged(lane: Lane, [key, value]: StoreEntry): void {
    const { ordinal } = parseUpdateKey(key);
    this.#waiting.addBurial(damagedLetter(key, value, lane.priority));
    lane.cursor = Math.max(lane.cursor, ordinal + 1);
    const update = { priority: lane.priority, ordinal } as Update;
    this.#takeOut(lane, { update, bytes: key.length + value.length });
    this.#kick();
  }

  /** Removing one that is gone already is no error. @throws OutboxError `outbox.store-failed` */
  removeDeadLetter(key: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: OutboxError | undefined): void =>
        error === undefined ? resolve() : reject(error);
      if (this.#closed) {
        settle(closedError());
        return;
      }
      this.#waiting.addLetterRemoval({ key, settle });
      this.#kick();
    });
  }

  /** Whether the update is out of the books though its record may still be on disk. */
  isRemoved(ordinal: number): boolean {
    return (
      this.#removals.has(ordinal) || this.#removing.has(ordinal) || this.#shed.ordinals.has(ordinal)
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#kick();
    while (this.#running !== undefined) await this.#running;
    await this.#compactor.done;
    if (!this.#mustReload) await this.#parts.store.write(this.ledger.write([]), { durable: true });
  }

  #takeOut(lane: Lane, queued: QueuedUpdate): void {
    const { ordinal } = queued.update;
    lane.remove(ordinal, queued.bytes);
    this.#removals.set(ordinal, queued);
    if (this.#removals.size >= REMOVALS_BATCH) this.#kick();
    else this.#kickLater(REMOVALS_LINGER_MS);
  }

  #kickLater(delayMs: number): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closed) return;
    this.#timer = this.#parts.clock.setTimer("outbox.commit", delayMs, () => {
      this.#timer = undefined;
      this.#resting = false;
      this.#kick();
    });
  }

  #kick(): void {
    if (this.#running !== undefined || (this.#resting && !this.#closed)) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    // Whoever else asks before this turn of the event loop ends comes along.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
        if (this.#resting) this.#kickLater(REST_AFTER_FAILURE_MS);
        else if (this.#waiting.any) this.#kick();
        else if (this.#removals.size > 0) this.#kickLater(REMOVALS_LINGER_MS);
      });
  }

  async #run(): Promise<void> {
    this.#resting = false;
    while (this.#waiting.any || this.#removals.size > 0 || this.#mustReload) {
      this.#resting = this.#mustReload && !(await this.#reload());
      if (!this.#resting) this.#resting = !(await this.#commit());
      if (!this.#resting) continue;
      // Nobody comes back to what waits when this was the last chance.
      if (this.#mustReload || this.#closed) this.#failPending();
      return;
    }
  }

  /** @returns false when it failed. */
  async #commit(): Promise<boolean> {
    const { store, clock, options } = this.#parts;
    const requests = this.#waiting.take(options.bytesMax / 4);
    const { appends, letters, letterRemovals } = requests;
    this.#removing = this.#removals;
    this.#removals = new Map();
    const shed = newShed();
    this.#shed = shed;

    const operations: StoreOperation[] = [];
    let admitted: readonly PendingAppend[] = [];
    let numbered: NumberedUpdate[] = [];
    try {
      for (const queued of this.#removing.values())
        operations.push({ type: "del", key: keyOf(queued.update) });
      const changes = {
        added: letters.map(({ draft }) => draft),
        removedKeys: letterRemovals.map(({ key }) => key),
        deadAtMs: clock.wallMs(),
        bytesMax: options.deadLetterBytesMax,
      };
      await changeDeadLetters(changes, this.ledger, store, operations);
      const isRemoved = (ordinal: number): boolean => this.isRemoved(ordinal);
      await evict(this.ledger, store, options, appends, isRemoved, shed);
      // From here to the write nothing is awaited: the books must be those of this batch.
      admitted = admit(appends, options.bytesMax - this.ledger.bytes);
      numbered = numberUpdates(admitted, this.ledger, this.#parts, operations);
      for (const key of shed.keys) operations.push({ type: "del", key });
      const changed =
        this.#removing.size + shed.keys.length + letters.length + letterRemovals.length;
      this.#sinceBooks += numbered.length;
      if (changed > 0 || this.#sinceBooks >= BOOKS_EVERY_UPDATES) {
        const queued = numbered.map(({ queued }) => queued);
        operations.push(...this.ledger.write([...queued, ...this.#removals.values()]));
        this.#sinceBooks = 0;
      }
      operations.push(...this.ledger.takeBootName());
      const startMs = clock.monotonicMs();
      await store.write(operations, { durable: numbered.length + letters.length > 0 });
      this.counters.lastCommitMs = clock.monotonicMs() - startMs;
    } catch (error) {
      await this.#failed(error, requests);
      return false;
    }
    this.#waiting.committed();
    this.#shed = newShed();
    this.counters.commits++;
    this.storeFault = undefined;
    for (const lane of this.ledger.lanes) lane.shedding = false;
    this.#noteShed(shed);
    this.#countRemoved();
    this.#settle(numbered, letters);
    for (const { settle } of letterRemovals) settle(undefined);
    if (admitted.length < appends.length) this.#refuse(appends, admitted);
    if (numbered.length + shed.keys.length > 0) this.#appended();
    return true;
  }

  #refuse(appends: readonly PendingAppend[], admitted: readonly PendingAppend[]): void {
    const taken = new Set(admitted);
    const fault = fullFault(this.#parts.options);
    for (const append of appends) {
      if (taken.has(append)) continue;
      this.counters.refused++;
      append.settle(fault);
    }
  }

  #settle(numbered: readonly NumberedUpdate[], letters: readonly PendingLetter[]): void {
    const { cacheBytesMax } = this.#parts.options;
    let cached = this.ledger.cachedBytes;
    for (const { queued } of numbered) {
      const lane = this.ledger.lane(queued.update.priority);
      const before = lane.cachedBytes;
      lane.add(queued, cacheBytesMax - cached, cacheBytesMax);
      cached += lane.cachedBytes - before;
    }
    this.counters.appended += numbered.length;
    for (const { settle, queued } of numbered) settle(undefined, queued.update);
    for (const { settle, draft } of letters) {
      const { code, reason, topic } = draft;
      this.#parts.events.emit("queue.dead-lettered", { code, reason, topic });
      settle?.(undefined);
    }
  }

  async #failed(error: unknown, requests: Requests): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    this.storeFault = reason;
    this.#parts.logger.error("could not write the outbox; nothing of it was acknowledged", {
      reason,
      refused: requests.appends.length,
    });
    // What left the books but not the disk is tried again with the next commit.
    this.#removals = new Map([...this.#removing, ...this.#removals]);
    this.#removing = new Map();
    this.#shed = newShed();
    this.#mustReload = true;
    this.#waiting.committed();
    this.counters.refused += requests.appends.length;
    this.#waiting.fail(requests, storeFailed(reason, error));
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
      return false;
    }
  }

  #failPending(): void {
    const failure = storeFailed(this.storeFault ?? "the store is closed", undefined);
    this.counters.refused += this.#waiting.failAll(failure);
  }

  #noteShed({ keys: { length: updates }, bytes }: Shed): void {
    if (updates === 0) return;
    this.counters.shed += updates;
    this.#compactor.removed(bytes, this.ledger.lanes);
    const { evict } = this.#parts.options;
    this.#parts.events.emit("queue.shed", { updates, bytes, evict });
  }

  #countRemoved(): void {
    let bytes = 0;
    for (const queued of this.#removing.values()) bytes += queued.bytes;
    this.#removing = new Map();
    this.#compactor.removed(bytes, this.ledger.lanes);
  }
}

function keyOf(update: Pick<Update, "priority" | "ordinal">): string {
  return updateKey(update.priority, update.ordinal);
}

function newShed(): Shed {
  return { ordinals: new Set(), keys: [], bytes: 0 };
}
