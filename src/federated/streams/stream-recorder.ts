import type { Series } from "../data/windows.ts";
import {
  columnsOf,
  historyPointsMax,
  type RecordedColumn,
  type StreamBinding,
  type TopicMatcher,
} from "./binding.ts";
import { StreamHistory } from "./history.ts";
import { type HistoryPlace, HistoryStore, type HistoryStoreCounts } from "./history-store.ts";
import { type FieldPath, fieldPath, Payload } from "./payload.ts";
import { type ReadingMoment, StreamClock } from "./stream-clock.ts";

/** The most streams that one binding listens to: a filter such as `#` may match any number. */
const STREAMS_MAX = 1_024;
/** Topics that are remembered as nobody's. */
const OTHERS_MAX = 4_096;
/** The wall clock may differ from what is known of it by so much, or by a step of the grid. */
const CLOCK_TOLERANCE_MS = 1_000;

/** A reading as it was accepted; an `Update` of the outbox is one. */
export interface AcceptedReading extends ReadingMoment {
  /** Topic. */
  readonly stream: string;
  readonly payload: Uint8Array;
  /** Of the stream, ascending: what is not above the last one is there twice. */
  readonly sequence?: number;
}

/** What became of readings since start. */
export interface RecorderCounts {
  /** Readings of bound streams. */
  readonly heard: number;
  /** Those of them that were put on the grid, for one channel at least. */
  readonly recorded: number;
  /** Values that are no number, or not where the channel's field says, and readings without a time. */
  readonly unparsable: number;
  /** Values outside of what the channel's sensor can show. */
  readonly implausible: number;
  /** They belong to a step that is over. */
  readonly late: number;
  readonly duplicates: number;
  /** Of streams beyond the first 1,024. */
  readonly refused: number;
  /** Times that the wall clock disagreed with what was known of it. */
  readonly clockJumps: number;
  readonly streams: number;
  /** Points of the history. */
  readonly points: number;
  readonly memoryBytes: number;
  readonly store?: HistoryStoreCounts;
}

/** A stream whose readings can not be used, told once. */
export interface StreamFault {
  readonly stream: string;
  readonly channel: string;
  readonly reason: string;
}

/** What a {@link StreamRecorder} is made of. */
export interface RecorderParts {
  readonly binding: StreamBinding;
  readonly topicMatcher: TopicMatcher;
  /** Absent: the history is in memory alone. */
  readonly place?: HistoryPlace;
  /** Called with each point that is complete: a new window may be. */
  readonly onPoint?: (atMs: number) => void;
  /** Called once for each stream that can not be used. */
  readonly onFault?: (fault: StreamFault) => void;
}

interface Column extends RecordedColumn {
  readonly at: number;
  readonly matches: (topic: string) => boolean;
  readonly path: FieldPath | undefined;
}

interface BoundStream {
  readonly columns: readonly Column[];
  sequence: number;
  isFaultTold: boolean;
}

/**
 * Puts readings of the device's streams on a grid and keeps a history of it. `hear` is synchronous and never throws, since it
 * stands on the road of every reading; what goes to disk goes by itself, a block at a time.
 */
export class StreamRecorder {
  readonly #parts: RecorderParts;
  readonly #columns: readonly Column[];
  readonly #streams = new Map<string, BoundStream>();
  readonly #others = new Set<string>();
  readonly #clock: StreamClock;
  readonly #history: StreamHistory;
  readonly #store: HistoryStore | undefined;
  readonly #step: GridStep;
  readonly #counts = {
    heard: 0,
    recorded: 0,
    unparsable: 0,
    implausible: 0,
    late: 0,
    duplicates: 0,
    refused: 0,
  };
  #slot = Number.NEGATIVE_INFINITY;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    const { binding, topicMatcher, place } = parts;
    this.#columns = columnsOf(binding).map((column, at) => ({
      ...column,
      at,
      matches: topicMatcher(column.topic),
      path: column.field === undefined ? undefined : fieldPath(column.field),
    }));
    const { everyMs, gapMsMax } = binding;
    const bounds = { columns: this.#columns.length, everyMs, pointsMax: historyPointsMax(binding) };
    this.#history = new StreamHistory(bounds);
    this.#step = new GridStep(this.#columns);
    this.#store = place === undefined ? undefined : new HistoryStore(place, bounds);
    this.#clock = new StreamClock({
      everyMs,
      toleranceMs: Math.max(CLOCK_TOLERANCE_MS, everyMs),
      gapMs: gapMsMax + 2 * everyMs,
    });
  }

  /** Reads the history back. Called once, before the first reading. @throws StoreError */
  async load(): Promise<void> {
    await this.#store?.load((slot, row) => this.#history.push(slot, row));
    if (this.#history.length === 0) return;
    this.#slot = this.#history.newestSlot;
    this.#clock.resume(this.#slot * this.#parts.binding.everyMs);
  }

  /** Takes a reading. One of a stream that is not bound costs a look into a table. */
  hear(reading: AcceptedReading): void {
    const stream = this.#streamOf(reading.stream);
    if (stream === undefined) return;
    this.#counts.heard++;
    if (reading.sequence !== undefined) {
      if (reading.sequence <= stream.sequence) {
        this.#counts.duplicates++;
        return;
      }
      stream.sequence = reading.sequence;
    }
    const slot = this.#slotOf(reading);
    if (slot === undefined) {
      this.#counts.unparsable++;
      return;
    }
    if (slot < this.#slot || (slot === this.#slot && slot <= this.#history.newestSlot)) {
      this.#counts.late++;
      return;
    }
    if (slot > this.#slot) this.#begin(slot, reading.monotonicMs);
    if (this.#put(stream, reading)) this.#counts.recorded++;
  }

  /** Completes the step under way if its time is over, when no reading does. */
  tick(moment: ReadingMoment): void {
    const slot = this.#slotOf(moment);
    if (slot !== undefined && slot > this.#slot && !this.#step.isEmpty)
      this.#begin(slot, moment.monotonicMs);
  }

  /** @returns the last points of all that is recorded, a label behind the channels; a copy */
  series(pointsMax?: number): Series {
    return this.#history.series(this.#columns.length, pointsMax);
  }

  counts(): RecorderCounts {
    return {
      ...this.#counts,
      clockJumps: this.#clock.jumps,
      streams: this.#streams.size,
      points: this.#history.length,
      memoryBytes: this.#history.bytes,
      ...(this.#store !== undefined && { store: this.#store.counts() }),
    };
  }

  /** Writes what is not on disk yet and waits for it; the step under way is given up, the next start begins with it. */
  async close(): Promise<void> {
    await this.#store?.flush();
  }

  /** Removes the history from the disk, when the task is left for good. @throws StoreError */
  async erase(): Promise<void> {
    await this.#store?.erase();
  }

  #slotOf(moment: ReadingMoment): number | undefined {
    const { everyMs } = this.#parts.binding;
    const placedMs = this.#clock.place(moment);
    const move = this.#clock.takeMove();
    if (move !== undefined) {
      const fromSlot = Math.floor(move.fromMs / everyMs);
      const by = Math.round(move.byMs / everyMs);
      this.#history.move(fromSlot, by);
      this.#store?.replace(fromSlot, this.#history.from(fromSlot + by));
      if (this.#slot >= fromSlot) this.#slot += by;
    }
    return placedMs === undefined ? undefined : Math.floor(placedMs / everyMs);
  }

  #streamOf(topic: string): BoundStream | undefined {
    const known = this.#streams.get(topic);
    if (known !== undefined) return known;
    if (this.#others.has(topic)) return undefined;
    const columns = this.#columns.filter(({ matches }) => matches(topic));
    if (columns.length === 0) {
      if (this.#others.size >= OTHERS_MAX) this.#others.clear();
      this.#others.add(topic);
      return undefined;
    }
    if (this.#streams.size >= STREAMS_MAX) {
      this.#counts.refused++;
      return undefined;
    }
    const bound = { columns, sequence: Number.NEGATIVE_INFINITY, isFaultTold: false };
    this.#streams.set(topic, bound);
    return bound;
  }

  #put(stream: BoundStream, { stream: topic, payload }: AcceptedReading): boolean {
    const content = new Payload(payload);
    let isRecorded = false;
    for (const column of stream.columns) {
      const value = content.numberAt(column.path);
      if (value === undefined) {
        this.#counts.unparsable++;
        const where = column.field === undefined ? "the payload" : `field ${column.field}`;
        this.#tell(stream, topic, column, `${where} is no number`);
        continue;
      }
      const { range } = column;
      if (range !== undefined && !(value >= range.min && value <= range.max)) {
        this.#counts.implausible++;
        const reason = `${value} is outside of range ${range.min} to ${range.max}`;
        this.#tell(stream, topic, column, reason);
        continue;
      }
      this.#step.put(column.at, value);
      isRecorded = true;
    }
    return isRecorded;
  }

  #tell(stream: BoundStream, topic: string, { name }: Column, reason: string): void {
    if (stream.isFaultTold) return;
    stream.isFaultTold = true;
    this.#parts.onFault?.({ stream: topic, channel: name, reason });
  }

  /** Completes the step under way and begins another. */
  #begin(slot: number, monotonicMs: number): void {
    const over = this.#slot;
    this.#slot = slot;
    if (this.#step.isEmpty) return;
    const row = this.#step.take();
    if (!this.#history.push(over, row)) return;
    this.#store?.add(over, row, monotonicMs);
    this.#parts.onPoint?.(over * this.#parts.binding.everyMs);
  }
}

/** What was heard within one step of the grid. */
class GridStep {
  readonly #columns: readonly RecordedColumn[];
  readonly #counts: Float64Array;
  readonly #combined: Float64Array;
  #isEmpty = true;

  constructor(columns: readonly RecordedColumn[]) {
    this.#columns = columns;
    this.#counts = new Float64Array(columns.length);
    this.#combined = new Float64Array(columns.length);
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  put(at: number, value: number): void {
    const count = this.#counts[at] as number;
    const before = this.#combined[at] as number;
    const combine = this.#columns[at]?.combine;
    // A mean as it goes: a sum of many would leave float64's range before their mean does.
    if (count === 0 || combine === "last") this.#combined[at] = value;
    else if (combine === "max") this.#combined[at] = Math.max(before, value);
    else this.#combined[at] = before + (value - before) / (count + 1);
    this.#counts[at] = count + 1;
    this.#isEmpty = false;
  }

  /** @returns a value for each column, NaN where nothing was heard; the next step begins */
  take(): Float32Array {
    const row = Float32Array.from(this.#combined, (value, at) =>
      this.#counts[at] === 0 ? Number.NaN : value,
    );
    this.#counts.fill(0);
    this.#isEmpty = true;
    return row;
  }
}
