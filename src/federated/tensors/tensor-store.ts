import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { checkHash, checkSize } from "./bounds.ts";
import { TensorError } from "./tensor-error.ts";

/** What is written at once. Larger pieces would hold up the readings, which wait for the same disk. */
export const PIECE_BYTES = 262_144;
/** Tensors that are kept, whatever their length. */
const KEPT_MAX = 1_024;

/** Says that the tensor is there, with its length; written together with its last piece. */
const KEPT = "f/t/";
/** The pieces themselves: hash, slash, six digits. */
const PIECES = "f/p/";
/** Says that pieces are being written, with the length; gone when they are all there. */
const BEGUN = "f/w/";
/** Behind every key that begins with a prefix; hashes and digits sort before it. */
const END = "~";

/**
 * Tensors that survive a power cut. Every write is durable, in an order that leaves nothing believed that is not there: the
 * first piece together with a note that writing has begun, the last one together with the head entry, which takes the
 * note's place. What was begun and not ended is swept at the next start by its note, without reading a byte of it.
 */
export class TensorStore {
  readonly #store: KeyValueStore;
  readonly #hasher: Hasher;
  readonly #logger: Logger;
  readonly #bytesMax: number;
  readonly #kept = new Map<string, number>();
  /** Begun, broken off, and not cleared away yet. */
  readonly #debris = new Map<string, number>();
  #turn: Promise<unknown> = Promise.resolve();
  #bytes = 0;
  #writtenBytes = 0;
  #damaged = 0;

  private constructor(
    parts: { readonly store: KeyValueStore; readonly hasher: Hasher; readonly logger: Logger },
    bytesMax: number,
  ) {
    this.#store = parts.store;
    this.#hasher = parts.hasher;
    this.#logger = parts.logger;
    this.#bytesMax = bytesMax;
  }

  /** Finds what is there and sweeps what is not whole. @throws StoreError */
  static async open(
    parts: { readonly store: KeyValueStore; readonly hasher: Hasher; readonly logger: Logger },
    bytesMax: number,
  ): Promise<TensorStore> {
    const opened = new TensorStore(parts, bytesMax);
    await opened.#load();
    return opened;
  }

  get counts(): {
    readonly bytes: number;
    readonly tensors: number;
    readonly writtenBytes: number;
    readonly damaged: number;
  } {
    return {
      bytes: this.#bytes,
      tensors: this.#kept.size,
      writtenBytes: this.#writtenBytes,
      damaged: this.#damaged,
    };
  }

  /** @returns length by hash of all that is kept */
  get kept(): ReadonlyMap<string, number> {
    return this.#kept;
  }

  /**
   * Writes a tensor, after all that was asked for before.
   * @throws TensorError `tensor.store-full`; StoreError, and then it is not kept
   */
  keep(hash: string, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#keep(hash, bytes));
  }

  /** Deletes a tensor. Unless `durable`, it may be there again after a power cut. @throws StoreError */
  release(hash: string, { durable } = { durable: false }): Promise<void> {
    return this.#inTurn(async () => {
      const sizeBytes = this.#kept.get(hash);
      if (sizeBytes === undefined) return;
      await this.#erase(hash, sizeBytes, durable);
      this.#kept.delete(hash);
      this.#bytes -= sizeBytes;
    });
  }

  /** @returns the bytes, checked; undefined where they are not kept or not whole, and then they are dropped @throws StoreError */
  async load(hash: string): Promise<Uint8Array | undefined> {
    const sizeBytes = this.#kept.get(hash);
    if (sizeBytes === undefined) return undefined;
    const bytes = new Uint8Array(sizeBytes);
    let whole = true;
    for (let piece = 0; whole && piece * PIECE_BYTES < sizeBytes; piece++) {
      const found = await this.#store.get(pieceKey(hash, piece));
      const length = Math.min(PIECE_BYTES, sizeBytes - piece * PIECE_BYTES);
      if (found?.length === length) bytes.set(found, piece * PIECE_BYTES);
      else whole = false;
    }
    if (whole && this.#hasher.sha256Hex(bytes) === hash) return bytes;
    if (!this.#kept.has(hash)) return undefined;
    this.#damaged++;
    this.#logger.warn("a stored tensor was damaged and is dropped", { hash, sizeBytes });
    await this.release(hash, { durable: true });
    return undefined;
  }

  async #keep(hash: string, bytes: Uint8Array): Promise<void> {
    if (this.#kept.has(hash)) return;
    for (const [other, sizeBytes] of this.#debris) {
      await this.#erase(other, sizeBytes);
      this.#debris.delete(other);
    }
    const sizeBytes = bytes.length;
    if (this.#bytes + sizeBytes > this.#bytesMax)
      throw new TensorError(
        "tensor.store-full",
        `${sizeBytes} bytes do not fit beside ${this.#bytes}: raise storeBytesMax (${this.#bytesMax}) or release a tensor`,
      );
    if (this.#kept.size >= KEPT_MAX)
      throw new TensorError("tensor.store-full", `${KEPT_MAX} tensors are kept: release one`);
    try {
      await this.#write(hash, bytes);
    } catch (error) {
      this.#debris.set(hash, sizeBytes);
      throw error;
    }
    this.#kept.set(hash, sizeBytes);
    this.#bytes += sizeBytes;
  }

  async #write(hash: string, bytes: Uint8Array): Promise<void> {
    // What was written before a repair may be lost with it.
    const ifGeneration = this.#store.generation;
    const size = new TextEncoder().encode(String(bytes.length));
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    for (let piece = 0; piece < pieces; piece++) {
      const value = bytes.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES);
      const batch: StoreOperation[] = [{ type: "put", key: pieceKey(hash, piece), value }];
      if (piece === 0 && pieces > 1) batch.push({ type: "put", key: BEGUN + hash, value: size });
      if (piece === pieces - 1)
        batch.push(
          { type: "put", key: KEPT + hash, value: size },
          { type: "del", key: BEGUN + hash },
        );
      await this.#store.write(batch, { durable: true, ifGeneration });
      this.#writtenBytes += value.length;
    }
  }

  /** All or nothing, so that no piece is left without its head. */
  async #erase(hash: string, sizeBytes: number, durable = false): Promise<void> {
    const batch: StoreOperation[] = [
      { type: "del", key: KEPT + hash },
      { type: "del", key: BEGUN + hash },
    ];
    for (let piece = 0; piece * PIECE_BYTES < sizeBytes; piece++)
      batch.push({ type: "del", key: pieceKey(hash, piece) });
    await this.#store.write(batch, { durable });
  }

  async #load(): Promise<void> {
    let lost = this.#store.repairs().length > 0;
    for (const [hash, sizeBytes] of await this.#heads(BEGUN))
      if (sizeBytes === undefined) lost = true;
      else await this.#erase(hash, sizeBytes);
    for (const [hash, sizeBytes] of await this.#heads(KEPT)) {
      if (sizeBytes === undefined) {
        lost = true;
        continue;
      }
      this.#kept.set(hash, sizeBytes);
      this.#bytes += sizeBytes;
    }
    if (lost) await this.#sweep();
  }

  /** @returns length by hash; undefined where an entry can not be read, which is deleted */
  async #heads(prefix: string): Promise<[hash: string, sizeBytes: number | undefined][]> {
    const heads: [string, number | undefined][] = [];
    // One of each kind may have been under way beyond the most that are kept.
    const limit = 2 * KEPT_MAX;
    for (const [key, value] of await this.#store.range({ gte: prefix, lt: prefix + END, limit })) {
      const hash = key.slice(prefix.length);
      const sizeBytes = Number(new TextDecoder().decode(value));
      try {
        checkHash(hash);
        checkSize(sizeBytes);
        heads.push([hash, sizeBytes]);
      } catch {
        heads.push([hash, undefined]);
        await this.#store.write([{ type: "del", key }], { durable: false });
      }
    }
    return heads;
  }

  /** Deletes pieces that no head knows of: only damage leaves them. Looks at each once. */
  async #sweep(): Promise<void> {
    for (let gte = PIECES; ; ) {
      const [first] = await this.#store.range({ gte, lt: PIECES + END, limit: 1 });
      if (first === undefined) return;
      const [key] = first;
      const hash = key.slice(PIECES.length).split("/", 1)[0] ?? "";
      if (this.#kept.has(hash)) gte = `${PIECES}${hash}/${END}`;
      else {
        await this.#store.write([{ type: "del", key }], { durable: false });
        gte = key;
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function pieceKey(hash: string, piece: number): string {
  return `${PIECES}${hash}/${String(piece).padStart(6, "0")}`;
}
