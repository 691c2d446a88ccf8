import type { StoreOperation } from "../platform/key-value-store.ts";
import type { Block } from "./block.ts";
import { deletions, type Lane } from "./lane.ts";

/** What one commit drops to make room. */
export interface Shed {
  readonly operations: StoreOperation[];
  updates: number;
  bytes: number;
  /** Blocks that are dropped; on disk until the commit has ended. */
  readonly firsts: Set<number>;
  /** The oldest block that was touched in each lane: from there it is read again should the commit fail. */
  readonly from: Map<Lane, number>;
}

/** @returns an account of nothing yet. */
export function newShed(): Shed {
  return { operations: [], updates: 0, bytes: 0, firsts: new Set(), from: new Map() };
}

/** Notes that a whole block is dropped. */
export function noteShed(lane: Lane, block: Block, shed: Shed): void {
  lane.shedding = true;
  shed.from.set(lane, Math.min(shed.from.get(lane) ?? block.first, block.first));
  shed.firsts.add(block.first);
  shed.operations.push(...deletions([block]));
  shed.updates += block.live;
  shed.bytes += block.bytes;
}
