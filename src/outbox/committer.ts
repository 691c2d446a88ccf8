import { admissionFault, busyFault, closedError, fullFault, storeFailed } from "./admission.ts";
import { CommitComposer, type CommitDraft } from "./commit-composer.ts";
import { CommitSchedule } from "./commit-schedule.ts";
import { Compactor } from "./compactor.ts";
import { newCounters } from "./counters.ts";
import type { DeadLetterDraft } from "./dead-letters.ts";
import { Entry, type NumberedBlock, type Settle } from "./entry.ts";
import { deletions } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import { Removals } from "./removals.ts";
import { type PendingLetter, WaitingRequests } from "./requests.ts";
import type { Shed } from "./shed.ts";
import type { OutboxError, UpdateDraft } from "./update.ts";
import { WearPacer } from "./wear-pacer.ts";

const WEAR_INTERVAL_MS = 100;

/**
 * The outbox's only writer. Everything that asks to be written while a commit is under way goes into the
 * next one, so that one disk sync pays for hundreds of updates (group commit).
 */
export class Committer {
  readonly #parts: OutboxParts;
  readonly #appended: () => void;
  readonly counters = newCounters();
  ledger: Ledger;
  /** Set while the store can not be written. */
  storeFault: string | undefined;
  readonly pacer: WearPacer;
  /** Takes updates out. */
  readonly removals: Removals;
  readonly #waiting = new WaitingRequests();
  readonly #composer: CommitComposer;
  readonly #schedule: CommitSchedule;
  readonly #compactor: Compactor;
  #mustReload = false;
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
    const { clock } = parts;
    const waiting = this.#waiting;
    this.#composer = new CommitComposer(parts, waiting);
    const { pacer } = this;
    this.#schedule = new CommitSchedule({ clock, pacer, waiting, run: () => this.#run() });
    this.removals = new Removals({
      ...parts,
      counters: this.counters,
      waiting,
      schedule: this.#schedule,
      ledger: () => this.ledger,
    });
  }

  /** @param letterKey the dead letter that becomes this update */
  append(draft: UpdateDraft, settle: Settle, letterKey?: string): void {
    const { options, agentId } = this.#parts;
    const refusal = this.#schedule.isClosed
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
    this.#schedule.appended();
  }

  deadLetter(draft: DeadLetterDraft, settle: (error: OutboxError | undefined) => void): void {
    const refusal = this.#schedule.isClosed
      ? closedError()
      : busyFault(this.#waiting.bytes + draft.payload.length);
    if (refusal !== undefined) {
      settle(refusal);
      return;
    }
    this.#waiting.addLetter(draft, settle);
    this.#schedule.now();
  }

  /** Removing one that is gone already is no error. @throws OutboxError `outbox.store-failed` */
  removeDeadLetter(key: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: OutboxError | undefined): void =>
        error === undefined ? resolve() : reject(error);
      if (this.#schedule.isClosed) {
        settle(closedError());
        return;
      }
      this.#waiting.addLetterRemoval({ key, settle });
      this.#schedule.now();
    });
  }

  async close(): Promise<void> {
    if (this.#schedule.isClosed) return;
    await this.#schedule.close();
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

  /** @returns false when it failed, and is to be left alone for a while. */
  async #run(): Promise<boolean> {
    while (this.#waiting.any || this.#waiting.removals > 0 || this.#mustReload) {
      if ((!this.#mustReload || (await this.#reload())) && (await this.#commit())) {
        if (this.#schedule.awaitsCrowd) return true;
        continue;
      }
      // Nobody comes back to what waits when this was the last chance.
      if (this.#mustReload || this.#schedule.isClosed) this.#failPending();
      return false;
    }
    return true;
  }

  /** @returns false when it failed. */
  async #commit(): Promise<boolean> {
    const { store, clock } = this.#parts;
    const { ledger } = this;
    const draft = this.#composer.take();
    try {
      await this.#composer.makeRoom(draft, ledger);
      // From here to the write nothing is awaited: the books must be those of this batch.
      this.#composer.compose(draft, ledger);
      const { blocks, letters, shed } = draft;
      const startMs = clock.monotonicMs();
      await store.write(draft.operations, {
        durable: blocks.length + letters.length > 0,
        ifGeneration: ledger.generation,
      });
      this.#noteWritten(startMs);
      ledger.latest.committed(draft.latest);
      const addedBytes = blocks.reduce((sum, { block }) => sum + block.bytes, 0);
      this.#compactor.committed(addedBytes, draft.deadBytes + shed.bytes, ledger.lanes);
    } catch (error) {
      await this.#failed(error, draft);
      return false;
    }
    this.#committed(draft);
    return true;
  }

  #committed({ requests, admitted, blocks, letters, shed, moreLater }: CommitDraft): void {
    const { appends, letterRemovals } = requests;
    this.#waiting.committed();
    if (moreLater) this.#waiting.putBack(appends.slice(admitted.length));
    this.#schedule.committed(admitted.length);
    this.counters.commits++;
    this.storeFault = undefined;
    for (const lane of this.ledger.lanes) lane.shedding = false;
    this.#noteShed(shed);
    this.#settle(blocks, letters);
    for (const { settle } of letterRemovals) settle(undefined);
    if (!moreLater && admitted.length < appends.length) this.#refuse(appends, admitted);
    if (blocks.length + shed.operations.length > 0) this.#appended();
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

  async #failed(error: unknown, { requests, letters, shed }: CommitDraft): Promise<void> {
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
      this.#waiting.removals = Math.max(1, this.#waiting.removals);
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
