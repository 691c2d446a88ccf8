import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Block } from "./block.ts";
import { readBlock } from "./block-reader.ts";
import { updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";

const PAGE = 256;
const PAGE_BYTES_MAX = 1024 * 1024;

/** Finds out what left a lane in memory while the disk still has it, after a write failed. */
export class LeftScan {
  /** As the disk has it. */
  readonly lane: Lane;
  readonly #blocks: { readonly block: Block; readonly ordinals: readonly number[] }[] = [];
  #from: number;

  constructor(lane: Lane) {
    this.lane = lane;
    this.#from = lane.unread;
  }

  /** Everything that left the lane as memory has it was looked at. */
  isComplete(before: Lane): boolean {
    return this.#from > lastLeft(before);
  }

  /** @throws StoreError */
  async read(store: KeyValueStore, before: Lane): Promise<void> {
    const { priority } = this.lane;
    while (!this.isComplete(before)) {
      const until = lastLeft(before) + 1;
      const page = await store.range({
        gte: updateKey(priority, this.#from),
        lt: updateKey(priority, until),
        limit: PAGE,
        bytesMax: PAGE_BYTES_MAX,
      });
      for (const stored of page) {
        const { block, until: end, records } = readBlock(stored, this.lane);
        this.#blocks.push({ block, ordinals: records.map(({ ordinal }) => ordinal) });
        this.#from = end;
      }
      if (page.length === 0) this.#from = until;
    }
  }

  /** Takes it out of the books. */
  forgetLeft(before: Lane): void {
    const { lane } = this;
    for (const { block, ordinals } of this.#blocks) {
      const left = ordinals.filter((ordinal) => before.isGone(ordinal)).length;
      lane.count -= left;
      if (left === 0 || left < ordinals.length) continue;
      lane.bytes -= block.bytes;
      lane.dead.push(block);
    }
  }
}

function lastLeft({ head, gone }: Lane): number {
  let last = head - 1;
  for (const ordinal of gone) last = Math.max(last, ordinal);
  return last;
}
