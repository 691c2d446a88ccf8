import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import { BOOTS_KEY } from "./keys.ts";

/** Names of this many boots are kept; records of older ones lose theirs and keep all else. */
const BOOTS_MAX = 256;

/** Boots of the device, by the numbers that records have for them. */
export interface Boots {
  readonly boot: number;
  readonly names: ReadonlyMap<number, string>;
  /** This boot's name is not on disk yet. */
  readonly isNew: boolean;
}

/**
 * Only reads: an agent must be able to start, and to send, while its disk is full.
 * @param floor numbers up to this one may have been given to boots whose names are lost
 * @throws StoreError
 */
export async function loadBoots(
  store: KeyValueStore,
  bootId: string,
  floor: number,
): Promise<Boots> {
  const known = parse(await store.get(BOOTS_KEY));
  const names = new Map(known);
  const last = known.at(-1);
  if (last !== undefined && last[1] === bootId) return { boot: last[0], names, isNew: false };
  const boot = Math.max(last?.[0] ?? 0, floor) + 1;
  names.set(boot, bootId);
  for (const old of names.keys()) {
    if (names.size <= BOOTS_MAX) break;
    names.delete(old);
  }
  return { boot, names, isNew: true };
}

/** @returns the write that makes the names known. */
export function nameBoots({ names }: Boots): StoreOperation {
  return { type: "put", key: BOOTS_KEY, value: Buffer.from(JSON.stringify([...names])) };
}

/** Damaged names are no reason not to start: updates of those boots tell their age a little less well. */
function parse(value: Uint8Array | undefined): [number, string][] {
  if (value === undefined) return [];
  try {
    return JSON.parse(Buffer.from(value).toString("utf8")) as [number, string][];
  } catch {
    return [];
  }
}
