import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import { bytesOfWeights, weightsOfBytes } from "../combining/weights-codec.ts";
import type { OwnState } from "./following-model.ts";

/** `l/own/TASK` says what there is, `l/ownp/TASK/PLACE` is a piece of it. */
const PREFIX = "l/own/";
const PIECE_PREFIX = "l/ownp/";
const PIECE_BYTES = 262_144;
/** Entries that one look at the store brings. */
const PAGE = 64;

interface Header {
  readonly round: number;
  readonly count: number;
  readonly pieces: number;
}

/** Own models across restarts, whole or not at all. They lie apart from the models that agents send each other. */
export class OwnModelMemory {
  readonly #store: KeyValueStore;

  constructor(store: KeyValueStore) {
    this.#store = store;
  }

  /** Takes the place of what was kept for the task. @throws StoreError */
  async keep(task: string, { round, values }: OwnState): Promise<void> {
    const before = await this.#header(task);
    const bytes = bytesOfWeights(values);
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    const header: Header = { round, count: values.length, pieces };
    const operations: StoreOperation[] = [
      { type: "put", key: PREFIX + task, value: Buffer.from(JSON.stringify(header)) },
    ];
    for (let at = 0; at < pieces; at++) {
      const value = bytes.slice(at * PIECE_BYTES, (at + 1) * PIECE_BYTES);
      operations.push({ type: "put", key: pieceKey(task, at), value });
    }
    for (let at = pieces; at < (before?.pieces ?? 0); at++)
      operations.push({ type: "del", key: pieceKey(task, at) });
    await this.#store.write(operations, { durable: true });
  }

  /** @returns undefined where nothing was kept, or not all of it can be read. @throws StoreError */
  async read(task: string): Promise<OwnState | undefined> {
    const header = await this.#header(task);
    if (header === undefined) return undefined;
    const bytes = new Uint8Array(4 * header.count);
    let filled = 0;
    for (let at = 0; at < header.pieces; at++) {
      const piece = await this.#store.get(pieceKey(task, at));
      if (piece === undefined || filled + piece.length > bytes.length) return undefined;
      bytes.set(piece, filled);
      filled += piece.length;
    }
    const values = filled === bytes.length ? weightsOfBytes(bytes, header.count) : undefined;
    return values && { round: header.round, values };
  }

  /** Takes away what tasks have kept that are wanted no more. @throws StoreError */
  async sweep(isWanted: (task: string) => boolean): Promise<void> {
    let from = PREFIX;
    for (;;) {
      const page = await this.#store.range({ gte: from, lt: `${PREFIX}~`, limit: PAGE });
      for (const [key] of page) {
        const task = key.slice(PREFIX.length);
        if (!isWanted(task)) await this.forget(task);
      }
      const last = page.at(-1)?.[0];
      if (last === undefined || page.length < PAGE) return;
      from = `${last}\0`;
    }
  }

  /** @throws StoreError */
  async forget(task: string): Promise<void> {
    const header = await this.#header(task);
    const operations: StoreOperation[] = [{ type: "del", key: PREFIX + task }];
    for (let at = 0; at < (header?.pieces ?? 0); at++)
      operations.push({ type: "del", key: pieceKey(task, at) });
    await this.#store.write(operations, { durable: false });
  }

  async #header(task: string): Promise<Header | undefined> {
    const value = await this.#store.get(PREFIX + task);
    if (value === undefined) return undefined;
    try {
      const header = JSON.parse(Buffer.from(value).toString("utf8")) as Partial<Header>;
      const { round, count, pieces } = header;
      const isWhole = [round, count, pieces].every(Number.isSafeInteger);
      return isWhole && pieces === Math.ceil((4 * (count ?? 0)) / PIECE_BYTES)
        ? (header as Header)
        : undefined;
    } catch {
      return undefined;
    }
  }
}

function pieceKey(task: string, at: number): string {
  return `${PIECE_PREFIX}${task}/${String(at).padStart(4, "0")}`;
}
