import type { Stream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { NetworkError } from "../network.ts";

/** Small pieces are joined: every piece is encrypted and sent on its own otherwise. */
const JOIN_BYTES_MAX = 16_384;
/** Handed to the stream at once; it goes on taking more than it can send, so this bounds what waits inside it. */
const BURST_BYTES_MAX = 262_144;
/** What a piece counts for at least, since it takes memory even where it says nothing. */
const PIECE_COST_BYTES_MIN = 256;

interface Piece {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly taken: ((error?: NetworkError) => void) | undefined;
}

/**
 * Writes to a stream no faster than the other side reads, and holds what has to wait within a bound.
 * Pieces that are written in one turn leave together.
 */
export class StreamWriter {
  readonly #stream: Stream;
  readonly #queueBytesMax: number;
  #pieces: Piece[] = [];
  #queuedBytes = 0;
  #full = false;
  #scheduled = false;
  #closed: NetworkError | undefined;

  constructor(stream: Stream, queueBytesMax: number) {
    this.#stream = stream;
    this.#queueBytesMax = queueBytesMax;
    stream.addEventListener("drain", () => {
      // In a microtask of its own after this event the stream sends what it holds itself; ours comes behind that,
      // and waits for the next time when the stream is not through.
      queueMicrotask(() => {
        this.#full = stream.writableNeedsDrain;
        if (!this.#full) this.#flush();
      });
    });
  }

  /** What waits, each piece counted with its cost. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * @param parts bytes that belong together and follow each other; not to be changed any more
   * @param taken called once the stream has them, or with why it will not
   * @param beyondBytes may wait beyond the bound, for what is short and must be said
   * @returns false when too much waits already; then nothing was taken and `taken` is not called
   */
  write(
    parts: readonly Uint8Array[],
    taken?: (error?: NetworkError) => void,
    beyondBytes = 0,
  ): boolean {
    if (this.#closed !== undefined) {
      taken?.(this.#closed);
      return true;
    }
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const queuedBytes = this.#queuedBytes + cost(bytes);
    if (this.#queuedBytes > 0 && queuedBytes > this.#queueBytesMax + beyondBytes) return false;
    this.#pieces.push({ parts, bytes, taken });
    this.#queuedBytes = queuedBytes;
    if (!this.#full && !this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#flush());
    }
    return true;
  }

  /** Nothing more will be sent. */
  fail(error: NetworkError): void {
    this.#closed ??= error;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#queuedBytes = 0;
    for (const { taken } of pieces) taken?.(error);
  }

  #flush(): void {
    this.#scheduled = false;
    let at = 0;
    while (at < this.#pieces.length && !this.#full) {
      const from = at;
      let bytes = 0;
      for (; at < this.#pieces.length && bytes < BURST_BYTES_MAX; at++)
        bytes += this.#pieces[at]?.bytes ?? 0;
      const burst = this.#pieces.slice(from, at);
      try {
        this.#full = !this.#stream.send(joined(burst, bytes));
      } catch (error) {
        this.#pieces.splice(0, from);
        this.fail(new NetworkError("network.closed", "the stream is closed", { cause: error }));
        return;
      }
      // The stream may have been closed by what it was given; then `fail` has told everybody.
      if (this.#closed !== undefined) return;
      for (const piece of burst) {
        this.#queuedBytes -= cost(piece.bytes);
        piece.taken?.();
      }
    }
    if (at > 0) this.#pieces = this.#pieces.slice(at);
  }
}

function cost(bytes: number): number {
  return Math.max(bytes, PIECE_COST_BYTES_MIN);
}

function joined(burst: readonly Piece[], bytes: number): Uint8Array | Uint8ArrayList {
  const [first] = burst;
  if (burst.length === 1 && first?.parts.length === 1) return first.parts[0] ?? new Uint8Array(0);
  if (bytes > JOIN_BYTES_MAX) return new Uint8ArrayList(...burst.flatMap(({ parts }) => parts));
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const { parts } of burst)
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
  return whole;
}
