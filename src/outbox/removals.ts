import type { EventSink } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import type { StoredBlock } from "./block-reader.ts";
import type { CommitSchedule } from "./commit-schedule.ts";
import type { OutboxCounters } from "./counters.ts";
import { damagedLetter, refusedLetter } from "./dead-letters.ts";
import type { Entry } from "./entry.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { WaitingRequests } from "./requests.ts";

/** Why an update leaves the outbox. */
export type Removal = "acknowledged" | "expired" | "superseded";

/** What {@link Removals} work with. */
interface RemovalsParts {
  readonly events: EventSink;
  readonly logger: Logger;
  readonly counters: OutboxCounters;
  readonly waiting: WaitingRequests;
  readonly schedule: CommitSchedule;
  /** The books as they are now. */
  readonly ledger: () => Ledger;
}

/** Takes updates out of the queue: the books know at once, the disk follows soon, together with others. */
export class Removals {
  readonly #parts: RemovalsParts;

  constructor(parts: RemovalsParts) {
    this.#parts = parts;
  }

  /** Takes a leased update out. */
  remove(entry: Entry, why: Removal): void {
    const { counters, schedule } = this.#parts;
    counters[why]++;
    this.#take(entry);
    schedule.removed(1);
  }

  /** Takes out updates in memory that nobody leased. */
  expireReady(lane: Lane, isOut: (entry: Entry) => boolean): void {
    const { counters, schedule } = this.#parts;
    const expired = lane.removeReady(isOut);
    counters.expired += expired;
    if (expired > 0) schedule.removed(expired);
  }

  /** Takes out a block on disk of which every update has expired. */
  expireBlock(lane: Lane, { block, records }: StoredBlock): void {
    const { counters, schedule } = this.#parts;
    const { live } = block;
    counters.expired += live;
    lane.removeBlock(
      block,
      records.map(({ ordinal }) => ordinal),
    );
    schedule.removed(live);
  }

  /** Turns a leased update into a dead letter, in one commit. */
  bury(entry: Entry, code: string, reason: string): void {
    const { waiting, schedule } = this.#parts;
    waiting.addBurial(refusedLetter(entry, code, reason));
    this.#take(entry);
    schedule.now();
  }

  /** Sets a block aside that can not be read, so that those behind it can leave. */
  buryDamaged(lane: Lane, { block }: StoredBlock, key: string, value: Uint8Array): void {
    const { waiting, schedule } = this.#parts;
    waiting.addBurial(damagedLetter(key, value, lane.priority));
    lane.bytes -= block.bytes;
    lane.dead.push(block);
    schedule.now();
  }

  /** The books count updates that are not on disk: it has lost them. */
  noteLost(lane: Lane, updates: number): void {
    if (updates <= 0) return;
    const { counters, events, logger, schedule } = this.#parts;
    lane.count -= updates;
    if (lane.count === 0) lane.bytes = 0;
    counters.lost += updates;
    events.emit("queue.lost", { updates, priority: lane.priority });
    logger.error("updates that were queued are not on disk any more", { updates });
    schedule.removed(updates);
  }

  #take(entry: Entry): void {
    const ledger = this.#parts.ledger();
    const { key, stream, ordinal, priority } = entry;
    ledger.lane(priority).remove(entry);
    if (key === undefined) return;
    const { id } = ledger.streams.byName(stream) ?? {};
    if (id !== undefined) ledger.latest.left(id, key, ordinal);
  }
}
