import type { Stream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { NetworkError } from "../network.ts";

/** Small pieces are joined: every piece is encrypted and sent on its own otherwise. */
const JOIN_BYTES_MAX = 16_384;
/** Handed to the stream at once; it goes on taking more than it can send, so this bounds what waits inside it. */
const BURST_BYTES_MAX = 262_144;

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
      this.#full = false;
      this.#flush();
    });
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * @param parts bytes that belong together and follow each other; not to be changed any more
   * @param taken called once the stream has them, or with why it will not
   * @returns false when too much waits already; then nothing was taken and `taken` is not called
   */
  write(parts: readonly Uint8Array[], taken?: (error?: NetworkError) => void): boolean {
    if (this.#closed !== undefined) {
      taken?.(this.#closed);
      return true;
    }
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#queueBytesMax) return false;
    this.#pieces.push({ parts, bytes, taken });
    this.#queuedBytes += bytes;
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
    let handed = 0;
    try {
      while (at < this.#pieces.length && !this.#full) {
        let bytes = 0;
        for (; at < this.#pieces.length && bytes < BURST_BYTES_MAX; at++)
          bytes += this.#pieces[at]?.bytes ?? 0;
        const burst = this.#pieces.slice(handed, at);
        this.#full = !this.#stream.send(joined(burst, bytes));
        handed = at;
        this.#queuedBytes -= bytes;
        for (const { taken } of burst) taken?.();
      }
    } catch (error) {
      this.#pieces = this.#pieces.slice(handed);
      this.fail(new NetworkError("network.closed", "the stream is closed", { cause: error }));
      return;
    }
    if (at > 0) this.#pieces = this.#pieces.slice(at);
  }
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
