import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { decodeStored } from "./batch-codec.ts";
import type { Guest, StreamProgress } from "./guest.ts";
import type { Chunk } from "./guest-queue.ts";
import type { UpdateFields } from "./relayed-update.ts";

/**
 * Where things stand in the store.
 *
 * | key | value |
 * | --- | --- |
 * | `r/generation` | the store's generation under which all of it was written |
 * | `r/g/` guest | who it is, as JSON |
 * | `r/s/` guest `/` stream | how far a stream has come, as JSON; what waits of it is told by the chunks |
 * | `r/c/` guest `/` chunk | updates that were handed over together (`RelayBatch`) |
 */
const ALL = { gte: "r/", lt: "r0" } as const;
const GUESTS = { gte: "r/g/", lt: "r/g0" } as const;
const GENERATION_KEY = "r/generation";
const PAGE = 256;
const PAGE_BYTES_MAX = 1_048_576;

/** Beside the settled ones nothing has to be kept: what is stored and waits is in the chunks. */
type KeptStream = readonly [
  agentId: string,
  stream: string,
  settledThrough: number,
  settledObservedAtMs: number,
  dead: readonly (readonly [sequence: number, reason: string])[],
];

/** A guest as it is kept. */
export interface KeptGuest {
  readonly peer: PeerId;
  readonly number: number;
  readonly agentId: string;
  readonly seenAtMs: number;
}

/** @returns what makes everything that is kept of a guest known to {@link loadGuests} */
export function keepGuest({ peer, number, agentId, seenAtMs }: Guest): StoreOperation {
  const value = new TextEncoder().encode(JSON.stringify({ peer, agentId, seenAtMs }));
  return { type: "put", key: `${GUESTS.gte}${padded(number)}`, value };
}

/** @returns what keeps how far a stream has come */
export function keepStream(guest: Guest, progress: StreamProgress): StoreOperation {
  const { agentId, stream, settledThrough, settledObservedAtMs, dead } = progress;
  const kept: KeptStream = [
    agentId,
    stream,
    settledThrough,
    settledObservedAtMs,
    dead.map(({ sequence, reason }) => [sequence, reason]),
  ];
  const value = new TextEncoder().encode(JSON.stringify(kept));
  return { type: "put", key: streamStoreKey(guest, progress), value };
}

/** @returns the key under which a stream is kept */
export function streamStoreKey(guest: Guest, { number }: StreamProgress): string {
  return `r/s/${padded(guest.number)}/${padded(number)}`;
}

/** @returns the key under which updates are kept */
export function chunkKey(guest: Guest, { number }: Pick<Chunk, "number">): string {
  return `r/c/${padded(guest.number)}/${padded(number)}`;
}

/** @returns what says under which generation of the store everything was written */
export function keepGeneration(generation: number): StoreOperation {
  const value = new TextEncoder().encode(String(generation));
  return { type: "put", key: GENERATION_KEY, value };
}

/** @returns whether what is kept was written before the store lost something @throws StoreError */
export async function isOutdated(store: KeyValueStore): Promise<boolean> {
  const kept = await store.get(GENERATION_KEY);
  return kept !== undefined && new TextDecoder().decode(kept) !== String(store.generation);
}

/** Reads what is kept of all guests. @throws StoreError */
export async function loadGuests(
  store: KeyValueStore,
  take: {
    guest(kept: KeptGuest): Guest;
    chunk(
      guest: Guest,
      place: Pick<Chunk, "number" | "bytes" | "count">,
      updates: readonly UpdateFields[],
    ): void;
    /** Something of the guest can not be read. */
    damaged(guest: Guest): void;
  },
): Promise<void> {
  for await (const [key, value] of entries(store, GUESTS)) {
    const kept = parsed(value) as Omit<KeptGuest, "number"> | undefined;
    const number = Number.parseInt(key.slice(GUESTS.gte.length), 36);
    if (kept === undefined || !Number.isSafeInteger(number)) continue;
    const guest = take.guest({ ...kept, number });
    let whole = true;
    for await (const [streamKey, text] of entries(store, below("r/s/", number)))
      whole = restoreStream(guest, streamKey, text) && whole;
    for await (const [chunkKey, bytes] of entries(store, below("r/c/", number))) {
      const updates = decodeStored(bytes);
      const chunk = Number.parseInt(chunkKey.slice(chunkKey.lastIndexOf("/") + 1), 36);
      if (updates === undefined) whole = false;
      else
        take.chunk(guest, { number: chunk, bytes: bytes.length, count: updates.length }, updates);
    }
    if (!whole) take.damaged(guest);
  }
}

/** @returns the keys of all that is kept of a guest, or of everybody @throws StoreError */
export async function keysOf(store: KeyValueStore, guest?: Guest): Promise<string[]> {
  const keys: string[] = [];
  const ranges =
    guest === undefined ? [ALL] : [below("r/s/", guest.number), below("r/c/", guest.number)];
  for (const range of ranges) for await (const [key] of entries(store, range)) keys.push(key);
  if (guest !== undefined) keys.push(`${GUESTS.gte}${padded(guest.number)}`);
  return keys;
}

function restoreStream(guest: Guest, key: string, value: Uint8Array): boolean {
  const kept = parsed(value) as KeptStream | undefined;
  if (kept === undefined) return false;
  const [agentId, stream, settledThrough, settledObservedAtMs, dead] = kept;
  guest.restore({
    agentId,
    stream,
    number: Number.parseInt(key.slice(key.lastIndexOf("/") + 1), 36),
    storedThrough: settledThrough,
    settledThrough,
    storedObservedAtMs: settledObservedAtMs,
    settledObservedAtMs,
    waiting: 0,
    dead: dead.map(([sequence, reason]) => ({ sequence, reason, reportedIn: 0 })),
  });
  return true;
}

async function* entries(store: KeyValueStore, { gte, lt }: { gte: string; lt: string }) {
  let from = gte;
  for (;;) {
    const page = await store.range({ gte: from, lt, limit: PAGE, bytesMax: PAGE_BYTES_MAX });
    const last = page.at(-1);
    if (last === undefined) return;
    yield* page;
    from = `${last[0]}!`;
  }
}

function below(prefix: string, number: number): { gte: string; lt: string } {
  const stem = `${prefix}${padded(number)}`;
  return { gte: `${stem}/`, lt: `${stem}0` };
}

function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(value)) as unknown;
  } catch {
    return undefined;
  }
}

function padded(number: number): string {
  return number.toString(36).padStart(10, "0");
}
