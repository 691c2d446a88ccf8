import type { StoreEntry, StoreOperation } from "../platform/key-value-store.ts";
import { streamKey } from "./keys.ts";

/** A stream and where its numbering stands. */
export interface StreamState {
  readonly id: number;
  readonly name: string;
  /** The sequence that was given out last; 0 before the first. */
  sequence: number;
  /**
   * The priority its updates queue at. It changes only while none of them waits: two lanes would let
   * a later update overtake an earlier one.
   */
  priority: number;
  /** Ordinal of its newest update. */
  lastOrdinal: number;
  /** Changed since it was last written. */
  dirty: boolean;
}

/** Every stream that was ever numbered, in memory; at most `streamsMax` of them. */
export class StreamTable {
  readonly #byName = new Map<string, StreamState>();
  readonly #byId = new Map<number, StreamState>();
  readonly #dirty = new Set<StreamState>();
  #nextId = 1;
  #sequenceFloor = 0;

  get size(): number {
    return this.#byName.size;
  }

  all(): Iterable<StreamState> {
    return this.#byName.values();
  }

  byName(name: string): StreamState | undefined {
    return this.#byName.get(name);
  }

  byId(id: number): StreamState | undefined {
    return this.#byId.get(id);
  }

  add(name: string, priority: number): StreamState {
    const stream: StreamState = {
      id: this.#nextId,
      name,
      sequence: this.#sequenceFloor,
      priority,
      lastOrdinal: 0,
      dirty: false,
    };
    this.#place(stream);
    return stream;
  }

  /**
   * Numbers given out before may have been lost with what told of them: every stream goes on past `floor`, with a
   * gap that a receiver sees, rather than to give out a number twice. New streams get ids past `idFloor`: updates that
   * still wait may be of a stream whose name is lost, and must not come out under that of another.
   */
  raise(floor: number, idFloor: number): void {
    this.#nextId = Math.max(this.#nextId, idFloor + 1);
    this.#sequenceFloor = floor;
    for (const stream of this.#byId.values()) {
      if (stream.sequence >= floor) continue;
      stream.sequence = floor;
      stream.dirty = true;
      this.#dirty.add(stream);
    }
  }

  /** Notes an update of the stream; what changed is written with the next {@link takeDirty}. */
  advance(stream: StreamState, sequence: number, ordinal: number): void {
    stream.sequence = sequence;
    stream.lastOrdinal = ordinal;
    stream.dirty = true;
    this.#dirty.add(stream);
  }

  /** @returns the writes that make the table on disk equal to this one. */
  takeDirty(): StoreOperation[] {
    const operations: StoreOperation[] = [];
    for (const stream of this.#dirty) {
      stream.dirty = false;
      operations.push(writeStream(stream));
    }
    this.#dirty.clear();
    return operations;
  }

  /** Takes in what is on disk. @throws Error on an entry that is no stream. */
  load(entries: readonly StoreEntry[]): void {
    for (const [key, value] of entries) {
      const id = Number.parseInt(key.slice(2), 36);
      const [name, sequence, priority, lastOrdinal] = JSON.parse(
        Buffer.from(value).toString("utf8"),
      ) as [string, number, number, number];
      this.#place({ id, name, sequence, priority, lastOrdinal, dirty: false });
    }
  }

  #place(stream: StreamState): void {
    this.#byName.set(stream.name, stream);
    this.#byId.set(stream.id, stream);
    this.#nextId = Math.max(this.#nextId, stream.id + 1);
  }
}

/** @returns the write that makes the stream on disk equal to this one. */
export function writeStream(stream: StreamState): StoreOperation {
  const { id, name, sequence, priority, lastOrdinal } = stream;
  const value = Buffer.from(JSON.stringify([name, sequence, priority, lastOrdinal]));
  return { type: "put", key: streamKey(id), value };
}
