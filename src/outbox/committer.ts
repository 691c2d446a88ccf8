import type { Timer } from "../platform/clock.ts";
import type { StoreOperation } from "../platform/key-value-store.ts";
import {
  admissionFault,
  admit,
  admitFirst,
  busyFault,
  closedError,
  fullFault,
  storeFailed,
} from "./admission.ts";
import type { StoredBlock } from "./block-reader.ts";
import { Compactor } from "./compactor.ts";
import {
  addDeadLetters,
  type DeadLetterDraft,
  damagedLetter,
  refusedLetter,
  removeDeadLetters,
} from "./dead-letters.ts";
import { Entry, type NumberedBlock, type Settle } from "./entry.ts";
import { evict } from "./eviction.ts";
import { deletions, type Lane } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import { Numbering } from "./numbering.ts";
import type { OutboxParts } from "./parts.ts";
import {
  BATCH_UPDATES_MAX,
  type PendingLetter,
  type Requests,
  WaitingRequests,
} from "./requests.ts";
import { newShed, type Shed } from "./shed.ts";
import { Thinning } from "./thinning.ts";
import type { OutboxError, UpdateDraft } from "./update.ts";
import { WearPacer } from "./wear-pacer.ts";

/** Why an update leaves the outbox. */
export type Removal = "acknowledged" | "expired" | "superseded";

/** Additions after which the books are written though nothing was removed. */
const BOOKS_EVERY_UPDATES = 4_096;
/** A commit of so many updates shows a stream of them: the next one waits for as many, but a moment at most. */
const CROWD_UPDATES = 16;
const CROWD_LINGER_MS = 1;
const WEAR_INTERVAL_MS = 100;
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
    superseded: 0,
    lost: 0,
    refused: 0,
    storeRecoveries: 0,
    commits: 0,
    lastCommitMs: 0,
  };
  ledger: Ledger;
  /** Set while the store can not be written. */
  storeFault: string | undefined;
  readonly pacer: WearPacer;
  readonly #numbering: Numbering;
  readonly #thinning: Thinning;
  readonly #waiting = new WaitingRequests();
  /** Updates that left since the books were written last. */
  #removed = 0;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #timerDueMs = 0;
  #sinceBooks = 0;
  readonly #compactor: Compactor;
  #mustReload = false;
  #resting = false;
  #closed = false;
  /** How many updates the last commit had, where that were many. */
  #crowd = 0;
  #wearAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: OutboxParts, ledger: Ledger, appended: () => void) {
    this.#parts = parts;
    this.ledger = ledger;
    this.#appended = appended;
    this.#compactor = new Compactor(parts);
    const { commitLingerMs, commitLingerMaxMs, flashBytesPerDayMax = 0 } = parts.options;
    this.pacer = new WearPacer(
      {
        bytesPerDayMax: flashBytesPerDayMax,
        lingerMinMs: commitLingerMs,
        lingerMaxMs: commitLingerMaxMs,
      },
      parts.clock.monotonicMs(),
    );
    this.#numbering = new Numbering(parts);
    this.#thinning = new Thinning(parts.store, parts.options.compress);
  }

  /** @param letterKey the dead letter that becomes this update */
  append(draft: UpdateDraft, settle: Settle, letterKey?: string): void {
    const { options, agentId } = this.#parts;
    const refusal = this.#closed
      ? closedError()
      : admissionFault(draft, this.ledger, options, this.#waiting.bytes);
    if (refusal !== undefined) {
      this.counters.refused++;
      settle(refusal);
      return;
    }
    const entry = new Entry(agentId, draft, draft, settle);
    entry.letterKey = letterKey;
    this.#waiting.addAppend(entry);
    const { lingerMs } = this.pacer;
    if (lingerMs > 0 && this.#waiting.updates < BATCH_UPDATES_MAX) this.#kickLater(lingerMs);
    else this.#kickCrowd();
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

  /** Takes a leased update out; the disk follows soon, together with others. */
  remove(entry: Entry, why: Removal): void {
    this.counters[why]++;
    const { ledger } = this;
    ledger.lane(entry.priority).remove(entry);
    this.#noteLeft(ledger, entry);
    this.#noteRemoved(1);
  }

  /** Takes out updates in memory that nobody leased. */
  expireReady(lane: Lane, isOut: (entry: Entry) => boolean): void {
    const expired = lane.removeReady(isOut);
    this.counters.expired += expired;
    if (expired > 0) this.#noteRemoved(expired);
  }

  /** Takes out a block on disk of which every update has expired. */
  expireBlock(lane: Lane, { block, records }: StoredBlock): void {
    const { live } = block;
    this.counters.expired += live;
    lane.removeBlock(
      block,
      records.map(({ ordinal }) => ordinal),
    );
    this.#noteRemoved(live);
  }

  /** Turns a leased update into a dead letter, in one commit. */
  bury(entry: Entry, code: string, reason: string): void {
    this.#waiting.addBurial(refusedLetter(entry, code, reason));
    const { ledger } = this;
    ledger.lane(entry.priority).remove(entry);
    this.#noteLeft(ledger, entry);
    this.#kick();
  }

  /** Sets a block aside that can not be read, so that those behind it can leave. */
  buryDamaged(lane: Lane, { block }: StoredBlock, key: string, value: Uint8Array): void {
    this.#waiting.addBurial(damagedLetter(key, value, lane.priority));
    lane.bytes -= block.bytes;
    lane.dead.push(block);
    this.#kick();
  }

  /** The books count updates that are not on disk: it has lost them. */
  noteLost(lane: Lane, updates: number): void {
    if (updates <= 0) return;
    lane.count -= updates;
    if (lane.count === 0) lane.bytes = 0;
    this.counters.lost += updates;
    this.#parts.events.emit("queue.lost", { updates, priority: lane.priority });
    this.#parts.logger.error("updates that were queued are not on disk any more", { updates });
    this.#noteRemoved(updates);
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

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#kick();
    while (this.#running !== undefined) await this.#running;
    await this.#compactor.done;
    // What could not be written comes back from disk; books that know better would lose it.
    if (this.storeFault !== undefined) return;
    const { ledger } = this;
    const dead = ledger.lanes.flatMap((lane) => deletions(lane.dead));
    await this.#parts.store.write([...dead, ...ledger.write([])], {
      durable: true,
      ifGeneration: ledger.generation,
    });
  }

  #noteLeft(ledger: Ledger, { key, stream, ordinal }: Entry): void {
    if (key === undefined) return;
    const { id } = ledger.streams.byName(stream) ?? {};
    if (id !== undefined) ledger.latest.left(id, key, ordinal);
  }

  #noteRemoved(updates: number): void {
    const first = this.#removed === 0;
    this.#removed += updates;
    if (this.#removed >= REMOVALS_BATCH) this.#kick();
    // A timer that somebody set since the first one is due no later.
    else if (first || this.#timer === undefined) this.#kickLater(this.#removalsLingerMs);
  }

  get #removalsLingerMs(): number {
    return Math.max(REMOVALS_LINGER_MS, this.pacer.lingerMs);
  }

  #kickLater(delayMs: number): void {
    if (this.#running !== undefined || this.#closed) return;
    const dueMs = this.#parts.clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
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
        else if (this.#waiting.any) this.#kickCrowd();
        else if (this.#removed > 0) this.#kickLater(this.#removalsLingerMs);
      });
  }

  async #run(): Promise<void> {
    this.#resting = false;
    while (this.#waiting.any || this.#removed > 0 || this.#mustReload) {
      this.#resting = this.#mustReload && !(await this.#reload());
      if (!this.#resting) this.#resting = !(await this.#commit());
      if (!this.#resting && !this.#awaitsCrowd) continue;
      if (!this.#resting) return;
      // Nobody comes back to what waits when this was the last chance.
      if (this.#mustReload || this.#closed) this.#failPending();
      return;
    }
  }

  /** @returns false when it failed. */
  async #commit(): Promise<boolean> {
    const { store, clock, options } = this.#parts;
    const { ledger } = this;
    const requests = this.#waiting.take(options.bytesMax / 4);
    const { appends, letterRemovals } = requests;
    let letters: readonly PendingLetter[] = [];
    const shed = newShed();
    const operations: StoreOperation[] = [];
    let admitted: readonly Entry[] = [];
    let blocks: readonly NumberedBlock[] = [];
    let moreLater = false;
    try {
      const removals = {
        removedKeys: letterRemovals.map(({ key }) => key),
        requeuedKeys: appends.flatMap(({ letterKey }) => letterKey ?? []),
        incomingBytes: this.#waiting.letterBytes,
        bytesMax: options.deadLetterBytesMax,
      };
      const requeue = await removeDeadLetters(removals, ledger, store, operations);
      const thinning = this.#thinning;
      moreLater = await evict({ ledger, store, options, thinning }, appends, shed);
      // From here to the write nothing is awaited: the books must be those of this batch.
      letters = this.#waiting.takeLetters();
      addDeadLetters(
        letters.map(({ draft }) => draft),
        clock.wallMs(),
        ledger,
        operations,
      );
      const room = options.bytesMax - ledger.bytes;
      admitted = moreLater ? admitFirst(appends, room) : admit(appends, room);
      for (const lane of ledger.lanes) operations.push(...deletions(lane.dead));
      operations.push(...shed.operations);
      for (const { letterKey } of admitted) if (letterKey !== undefined) requeue(letterKey);
      const numbered = this.#numbering.number(admitted, ledger, operations);
      blocks = numbered.blocks;
      this.#sinceBooks += admitted.length;
      const changed =
        this.#removed +
        shed.operations.length +
        letters.length +
        letterRemovals.length +
        removals.requeuedKeys.length;
      if (changed > 0 || this.#sinceBooks >= BOOKS_EVERY_UPDATES) {
        operations.push(...ledger.write(blocks));
        this.#sinceBooks = 0;
      }
      this.#removed = 0;
      operations.push(...ledger.takeBootName());
      const deadBytes = takeDead(ledger);
      const startMs = clock.monotonicMs();
      await store.write(operations, {
        durable: blocks.length + letters.length > 0,
        ifGeneration: ledger.generation,
      });
      this.#noteWritten(startMs);
      ledger.latest.committed(numbered.latest);
      const addedBytes = blocks.reduce((sum, { block }) => sum + block.bytes, 0);
      this.#compactor.committed(addedBytes, deadBytes + shed.bytes, ledger.lanes);
    } catch (error) {
      await this.#failed(error, requests, letters, shed);
      return false;
    }
    this.#waiting.committed();
    if (moreLater) this.#waiting.putBack(appends.slice(admitted.length));
    this.#crowd = admitted.length >= CROWD_UPDATES ? admitted.length : 0;
    this.counters.commits++;
    this.storeFault = undefined;
    for (const lane of ledger.lanes) lane.shedding = false;
    this.#noteShed(shed);
    this.#settle(blocks, letters);
    for (const { settle } of letterRemovals) settle(undefined);
    if (!moreLater && admitted.length < appends.length) this.#refuse(appends, admitted);
    if (blocks.length + shed.operations.length > 0) this.#appended();
    return true;
  }

  #refuse(appends: readonly Entry[], admitted: readonly Entry[]): void {
    const taken = new Set(admitted);
    const fault = fullFault(this.#parts.options);
    for (const entry of appends) {
      if (taken.has(entry)) continue;
      this.counters.refused++;
      entry.settle?.(fault);
    }
  }

  #settle(blocks: readonly NumberedBlock[], letters: readonly PendingLetter[]): void {
    const { cacheBytesMax } = this.#parts.options;
    const { ledger } = this;
    for (const { block, entries } of blocks)
      ledger.lane(block.priority).add(block, entries, cacheBytesMax - ledger.readyBytes);
    for (const { entries } of blocks) {
      this.counters.appended += entries.length;
      for (const entry of entries) {
        const { settle } = entry;
        entry.settle = undefined;
        settle?.(undefined, entry);
      }
    }
    for (const { settle, draft } of letters) {
      const { code, reason, topic } = draft;
      this.#parts.events.emit("queue.dead-lettered", { code, reason, topic });
      settle?.(undefined);
    }
  }

  async #failed(
    error: unknown,
    requests: Requests,
    letters: readonly PendingLetter[],
    shed: Shed,
  ): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    this.storeFault = reason;
    this.#parts.logger.error("could not write the outbox; nothing of it was acknowledged", {
      reason,
      refused: requests.appends.length,
    });
    // What was dropped is still there, in front of what is in memory.
    for (const [lane, first] of shed.from) lane.unreadFrom(first);
    this.#mustReload = true;
    this.#waiting.committed();
    this.counters.refused += requests.appends.length;
    this.#waiting.fail(requests, letters, storeFailed(reason, error));
    await this.#reload();
  }

  /** Reads the books back: after a failed write nobody knows what is on disk. */
  async #reload(): Promise<boolean> {
    const { store, clock, logger, events } = this.#parts;
    try {
      const ledger = await Ledger.load(store, clock.bootId);
      await ledger.carryOver(() => this.ledger, store);
      this.ledger = ledger;
      this.#mustReload = false;
      // What left since is written with the next commit, which is why there must be one.
      this.#removed = Math.max(1, this.#removed);
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

  /** Fewer, larger commits cost less of everything; a lone publisher never waits for company. */
  #kickCrowd(): void {
    if (this.#awaitsCrowd && !this.#closed) this.#kickLater(CROWD_LINGER_MS);
    else this.#kick();
  }

  get #awaitsCrowd(): boolean {
    return this.#waiting.updates < this.#crowd;
  }

  #noteWritten(startMs: number): void {
    const { store, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.counters.lastCommitMs = nowMs - startMs;
    if (nowMs - this.#wearAtMs < WEAR_INTERVAL_MS) return;
    this.#wearAtMs = nowMs;
    const { bytes, deviceBytes } = store.written();
    this.pacer.note(deviceBytes ?? bytes, nowMs);
  }

  #noteShed({ updates, bytes }: Shed): void {
    if (updates === 0) return;
    this.counters.shed += updates;
    const { evict } = this.#parts.options;
    this.#parts.events.emit("queue.shed", { updates, bytes, evict });
  }
}

/** @returns the bytes of blocks whose deletion is being written. */
function takeDead(ledger: Ledger): number {
  let bytes = 0;
  for (const lane of ledger.lanes) {
    for (const block of lane.dead) bytes += block.bytes;
    if (lane.dead.length > 0) lane.dead = [];
  }
  return bytes;
}
