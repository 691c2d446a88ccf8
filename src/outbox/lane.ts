import { type Block, keyOfBlock } from "./block.ts";
import type { Entry } from "./entry.ts";
import { Leases } from "./leases.ts";

/** What an update takes in memory beside its payload, about. */
const ENTRY_BYTES = 400;

/**
 * One priority's run of updates: what of it is on disk, what has been leased to the uplink, and what is in
 * memory so that it can leave without being read (again).
 *
 *     head ≤ leased … cursor ≤ ready … unread ≤ on disk only … end
 *
 * The disk knows blocks, the receiver acknowledges updates: a block is deleted when its last update has left.
 * Until then `head` says that everything before it has left, and `gone` names what left out of order.
 */
export class Lane {
  readonly priority: number;
  /** Updates that have not left. */
  count = 0;
  /** What the blocks with at least one such update take on disk. */
  bytes = 0;
  /** The first ordinal that was not leased yet. */
  cursor = 0;
  /** From this ordinal on, nothing is in memory; the first of a block. */
  unread = 0;
  /** One past the newest update that is on disk. */
  end = 0;
  /** Goes up when what is being read from disk may be out of date by now. */
  generation = 0;
  /**
   * The oldest are being dropped. Nothing leaves until that is on disk: were it to fail, what was dropped
   * would come back behind its successors.
   */
  shedding = false;
  /** In order of ordinal; leaves by acknowledgement, refusal or {@link rewind}. */
  readonly leases = new Leases();
  /** Left out of order; those before `head` are forgotten by {@link prune}. */
  readonly gone = new Set<number>();
  /** Blocks without a live update that are still on disk. */
  dead: Block[] = [];
  /** What the updates that are in memory and not leased take there. */
  readyBytes = 0;
  #ready: Entry[] = [];
  #readyAt = 0;
  /** A block that this one is of may be half under way. */
  #lastLeased: Entry | undefined;

  constructor(priority: number) {
    this.priority = priority;
  }

  /** Everything before this ordinal has left. */
  get head(): number {
    return this.leases.oldest?.ordinal ?? this.cursor;
  }

  /** The first ordinal of the block that `head` lies in: where reading begins after a restart. */
  get headBlock(): number {
    return this.oldest?.block?.first ?? this.unread;
  }

  /** Updates that can be leased. */
  get available(): number {
    return this.count - this.leases.size;
  }

  /** Whether there is something to lease, and nothing against it. */
  get mayLease(): boolean {
    return this.available > 0 && !this.shedding && !this.leases.isFull;
  }

  /** The oldest update that is in memory and not leased. */
  get nextReady(): Entry | undefined {
    return this.#ready[this.#readyAt];
  }

  /** The oldest update in memory or under way, to tell the queue's age without reading the disk. */
  get oldest(): Entry | undefined {
    return this.leases.oldest ?? this.nextReady;
  }

  /** Everything that is queued is in memory or under way. */
  get isRead(): boolean {
    return this.unread >= this.end;
  }

  isGone(ordinal: number): boolean {
    return ordinal < this.head || this.gone.has(ordinal);
  }

  /**
   * Counts a block that is on disk now, and keeps it in memory where that spares reading it back.
   * @param roomBytes what may be kept
   */
  add(block: Block, entries: readonly Entry[], roomBytes: number): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const held = heldBytes(entries);
    const keep = this.isRead && held <= roomBytes;
    this.count += entries.length;
    this.bytes += block.bytes;
    this.end = last.ordinal + 1;
    if (!keep) return;
    this.unread = this.end;
    for (const entry of entries) this.#ready.push(entry);
    this.readyBytes += held;
  }

  /** Takes in what was read from disk: the updates of a block that have not left. */
  offer(entries: readonly Entry[], until: number): void {
    this.generation++;
    this.unread = until;
    for (const entry of entries) this.#ready.push(entry);
    this.readyBytes += heldBytes(entries);
  }

  /** Leases the next update that is in memory. */
  lease(): Entry | undefined {
    const entry = this.#shift();
    if (entry === undefined) return undefined;
    this.leases.add(entry);
    this.cursor = entry.ordinal + 1;
    this.#lastLeased = entry;
    return entry;
  }

  /** Takes a leased update out of the books: acknowledged, refused, expired or superseded. */
  remove(entry: Entry): void {
    const inOrder = this.leases.oldest === entry;
    this.leases.delete(entry);
    this.#leave(entry, !inOrder);
  }

  /** Takes out updates that are in memory and not leased. @returns how many. */
  removeReady(isOut: (entry: Entry) => boolean): number {
    const kept: Entry[] = [];
    let removed = 0;
    for (let at = this.#readyAt; at < this.#ready.length; at++) {
      const entry = this.#ready[at];
      if (entry === undefined) continue;
      if (isOut(entry)) {
        this.#leave(entry, true);
        removed++;
      } else kept.push(entry);
    }
    if (removed > 0) this.#setReady(kept);
    return removed;
  }

  /** What blocks take of which nothing is under way. */
  get evictableBytes(): number {
    const underWay = new Set<Block | undefined>([this.#lastLeased?.block]);
    for (const { block } of this.leases) underWay.add(block);
    let { bytes } = this;
    for (const block of underWay) if (block !== undefined && block.live > 0) bytes -= block.bytes;
    return bytes;
  }

  /** The oldest block in memory of which nothing is under way. */
  get evictable(): Block | undefined {
    const leased = this.#lastLeased?.block;
    for (let at = this.#readyAt; at < this.#ready.length; at++) {
      const block = this.#ready[at]?.block;
      if (block !== leased) return block;
    }
    return undefined;
  }

  /** Drops a block that is in memory. Not noted as gone: should the deletion fail, it is there again. */
  evict(block: Block): void {
    this.#setReady(this.#ready.slice(this.#readyAt).filter((entry) => entry.block !== block));
    this.count -= block.live;
    this.bytes -= block.bytes;
    this.generation++;
  }

  /** Takes a whole block out of the books that is not in memory. */
  removeBlock(block: Block, ordinals: readonly number[]): void {
    // Until it is deleted, whoever reads it has to know.
    for (const ordinal of ordinals) this.gone.add(ordinal);
    this.count -= block.live;
    this.bytes -= block.bytes;
    block.live = 0;
    this.dead.push(block);
    this.generation++;
  }

  /** Everything that was leased can be leased again, from disk. */
  rewind(): void {
    const { head, headBlock } = this;
    this.generation++;
    this.cursor = head;
    this.unread = headBlock;
    this.leases.clear();
    this.#lastLeased = undefined;
    this.#setReady([]);
  }

  /** Forgets what is in memory and not leased from this block on; it is read when its turn comes. */
  unreadFrom(first: number): void {
    this.generation++;
    const kept = this.#ready
      .slice(this.#readyAt)
      .filter((entry) => (entry.block?.first ?? 0) < first);
    this.#setReady(kept);
    this.unread = Math.min(this.unread, first);
  }

  /** Forgets what left so long ago that {@link head} says so. @returns what is to be kept on disk. */
  prune(): readonly number[] {
    if (this.gone.size === 0) return [];
    // What is being dropped is there again should its deletion fail: the place of it must be known until then.
    if (this.count === 0 && !this.shedding) {
      // Whatever was read meanwhile has left.
      this.generation++;
      this.cursor = this.end;
      this.unread = this.end;
      this.gone.clear();
    }
    const { head } = this;
    for (const ordinal of this.gone) if (ordinal < head) this.gone.delete(ordinal);
    return [...this.gone].sort((a, b) => a - b);
  }

  /** Takes over what has left, from the lane as it was before the books were read back. */
  takeGone(old: Lane): void {
    this.cursor = old.head;
    for (const ordinal of old.gone) this.gone.add(ordinal);
  }

  /** Takes over what is in memory too. */
  carryOver(old: Lane): void {
    this.cursor = old.cursor;
    this.unread = old.unread;
    for (const entry of old.leases) this.leases.add(entry);
    for (const ordinal of old.gone) this.gone.add(ordinal);
    this.#lastLeased = old.#lastLeased;
    this.#setReady(old.#ready.slice(old.#readyAt));
  }

  #leave(entry: Entry, outOfOrder: boolean): void {
    const { block } = entry;
    this.count--;
    if (outOfOrder) this.gone.add(entry.ordinal);
    if (block === undefined || --block.live > 0) return;
    this.bytes -= block.bytes;
    this.dead.push(block);
  }

  #shift(): Entry | undefined {
    const entry = this.#ready[this.#readyAt];
    if (entry === undefined) return undefined;
    this.#readyAt++;
    this.readyBytes -= entry.payload.length + ENTRY_BYTES;
    // Array.shift moves everything behind it; cut off the used front now and then instead.
    if (this.#readyAt >= 1_024 || this.#readyAt === this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyAt);
      this.#readyAt = 0;
    }
    return entry;
  }

  #setReady(entries: Entry[]): void {
    this.#ready = entries;
    this.#readyAt = 0;
    this.readyBytes = heldBytes(entries);
  }
}

/** What updates take in memory; on disk they may be compressed. */
function heldBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { payload } of entries) bytes += payload.length + ENTRY_BYTES;
  return bytes;
}

/** @returns the delete operations of blocks. */
export function deletions(blocks: readonly Block[]): { type: "del"; key: string }[] {
  return blocks.map((block) => ({ type: "del", key: keyOfBlock(block) }));
}
