import type { KeyValueStore } from "../platform/key-value-store.ts";
import { keyOfBlock } from "./block.ts";
import { BlockWriter } from "./block-codec.ts";
import { readBlock, type StoredBlock } from "./block-reader.ts";
import { updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { Shed } from "./shed.ts";

const PAGE = 64;
const PAGE_BYTES_MAX = 256 * 1024;
/** Of a history that was halved so often, a sixteenth is left; then the oldest gives way. */
const THINNED_MAX = 4;

/** Where a walk over a lane's backlog stands. */
interface Pass {
  /** Blocks that were thinned out less often than this are the next. */
  level: number;
  position: number;
  /** Streams of which the next update is dropped. */
  readonly drop: Set<number>;
}

/**
 * Thins a backlog out instead of cutting it off: every second update of each stream goes, from the oldest on,
 * and when the whole backlog has been halved it is halved again. What a fleet manager sees after a long outage
 * is a coarser history instead of a missing one.
 */
export class Thinning {
  readonly #store: KeyValueStore;
  readonly #compress: boolean;
  readonly #passes = new Map<number, Pass>();
  readonly #writer = new BlockWriter();

  constructor(store: KeyValueStore, compress: boolean) {
    this.#store = store;
    this.#compress = compress;
  }

  /**
   * Thins the next few blocks of a lane. @returns `nothing` when nothing is left that could be thinned out, and
   * `later` when what this commit has thinned must be on disk before more can be. @throws StoreError
   */
  async thin(lane: Lane, ledger: Ledger, shed: Shed): Promise<"made" | "later" | "nothing"> {
    const front = lane.evictable;
    // What lies in memory is thinned out on disk like everything else.
    if (front !== undefined) lane.unreadFrom(front.first);
    const pass = this.#pass(lane);
    for (;;) {
      if (pass.position >= lane.end) {
        if (shed.from.has(lane)) return "later";
        if (pass.level + 1 >= THINNED_MAX) return "nothing";
        pass.level++;
        pass.position = lane.unread;
        pass.drop.clear();
      }
      const { generation } = lane;
      const page = await this.#store.range({
        gte: updateKey(lane.priority, pass.position),
        lt: updateKey(lane.priority, lane.end),
        limit: PAGE,
        bytesMax: PAGE_BYTES_MAX,
      });
      if (generation !== lane.generation) return "made";
      if (page.length === 0) pass.position = lane.end;
      const before = shed.updates;
      for (const stored of page) {
        const found = readBlock(stored, lane);
        pass.position = found.until;
        if ((found.header?.thinned ?? THINNED_MAX) <= pass.level)
          this.#thinBlock(found, pass, lane, ledger, shed);
      }
      if (shed.updates > before) return "made";
    }
  }

  /** The walk starts anew where the backlog does: with a restart, a rewind, or when it has been sent. */
  #pass(lane: Lane): Pass {
    const known = this.#passes.get(lane.priority);
    if (known !== undefined && known.position >= lane.unread) return known;
    const pass = { level: 0, position: lane.unread, drop: new Set<number>() };
    this.#passes.set(lane.priority, pass);
    return pass;
  }

  #thinBlock(
    { block, records, header }: StoredBlock,
    pass: Pass,
    lane: Lane,
    ledger: Ledger,
    shed: Shed,
  ): void {
    if (header === undefined) return;
    this.#writer.start(block.first);
    for (const record of records) {
      const { streamId, key, ordinal } = record;
      if (key !== undefined) {
        // Of a state only the newest matters, and that one always does.
        if (!ledger.latest.isSuperseded(streamId, key, ordinal)) this.#writer.add(record, streamId);
      } else if (pass.drop.delete(streamId)) continue;
      else {
        pass.drop.add(streamId);
        this.#writer.add(record, streamId);
      }
    }
    const dropped = records.length - this.#writer.count;
    if (dropped === 0) return;
    const key = keyOfBlock(block);
    const left = this.#writer.count;
    const value =
      left === 0
        ? undefined
        : this.#writer.finish({ ...header, thinned: pass.level + 1 }, this.#compress);
    shed.operations.push(value === undefined ? { type: "del", key } : { type: "put", key, value });
    const freed = block.bytes - (value === undefined ? 0 : key.length + value.length);
    lane.shedding = true;
    // Whoever has read the block by now must not believe it.
    lane.generation++;
    lane.count -= dropped;
    lane.bytes -= freed;
    shed.from.set(lane, Math.min(shed.from.get(lane) ?? block.first, block.first));
    shed.updates += dropped;
    shed.bytes += freed;
  }
}
