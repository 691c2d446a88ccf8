import type { Uint8ArrayList } from "uint8arraylist";
import {
  FRAME_OVERHEAD_BYTES,
  type FrameBody,
  FrameError,
  REFUSAL_BYTES_MAX,
  readFrameBody,
  readVarint,
} from "./frame-codec.ts";

const LENGTH_BYTES_MAX = 5;
/** A frame that is kept keeps the whole piece alive that it came in, so small ones get bytes of their own. */
const OWN_BYTES_MAX = 4_096;
/** What a frame that comes in pieces gets at first; a length alone takes no memory. */
const HELD_BYTES_MIN = 1_024;

/** Cuts what comes on a stream into frames. Holds one frame at most that is not complete yet. */
export class FrameReader {
  readonly #payloadBytesMax: number;
  readonly #bodyBytesMax: number;
  #held = new Uint8Array(HELD_BYTES_MIN);
  #heldBytes = 0;

  constructor(payloadBytesMax: number) {
    this.#payloadBytesMax = payloadBytesMax;
    this.#bodyBytesMax = Math.max(payloadBytesMax, REFUSAL_BYTES_MAX) + FRAME_OVERHEAD_BYTES;
  }

  /**
   * @param onFrame called for every frame that is complete; returning false leaves the rest unread for good
   * @throws FrameError after which the stream makes no sense any more
   */
  push(data: Uint8Array | Uint8ArrayList, onFrame: (frame: FrameBody) => boolean): void {
    if (data instanceof Uint8Array) this.#piece(data, onFrame);
    else for (const piece of data) if (!this.#piece(piece, onFrame)) return;
  }

  /** @returns false when nothing more is to be read */
  #piece(piece: Uint8Array, onFrame: (frame: FrameBody) => boolean): boolean {
    let at = 0;
    if (this.#heldBytes > 0) {
      at = this.#complete(piece);
      const whole = this.#whole();
      if (whole === undefined) return true;
      if (!onFrame(this.#frame(whole))) return false;
    }
    while (at < piece.length) {
      const length = this.#lengthAt(piece, at);
      if (length === undefined || piece.length - length[1] < length[0]) {
        this.#hold(piece, at, piece.length, length);
        return true;
      }
      const [size, start] = length;
      at = start + size;
      const body =
        size > OWN_BYTES_MAX
          ? piece.subarray(start, at)
          : Uint8Array.prototype.slice.call(piece, start, at);
      if (!onFrame(this.#frame(body))) return false;
    }
    return true;
  }

  /** Takes what the frame that is held lacks. @returns the place behind it */
  #complete(piece: Uint8Array): number {
    let at = 0;
    let length = this.#heldLength();
    while (length === undefined && at < piece.length) {
      this.#hold(piece, at, at + 1, undefined);
      at++;
      length = this.#heldLength();
    }
    if (length === undefined) return at;
    const end = Math.min(piece.length, at + length[1] + length[0] - this.#heldBytes);
    this.#hold(piece, at, end, length);
    return end;
  }

  #heldLength(): readonly [size: number, start: number] | undefined {
    return this.#lengthAt(this.#held.subarray(0, Math.min(this.#heldBytes, LENGTH_BYTES_MAX)), 0);
  }

  /** @returns the body that is held, once it is complete; it is not held any more then */
  #whole(): Uint8Array | undefined {
    const length = this.#heldLength();
    if (length === undefined || this.#heldBytes < length[1] + length[0]) return undefined;
    const body = this.#held.subarray(length[1], this.#heldBytes);
    this.#held = new Uint8Array(HELD_BYTES_MIN);
    this.#heldBytes = 0;
    return body;
  }

  #hold(
    piece: Uint8Array,
    from: number,
    to: number,
    length: readonly [size: number, start: number] | undefined,
  ): void {
    const needed = this.#heldBytes + to - from;
    if (needed > this.#held.length) {
      const most = length === undefined ? needed : length[0] + LENGTH_BYTES_MAX;
      const grown = new Uint8Array(Math.max(needed, Math.min(most, 2 * needed)));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(piece.subarray(from, to), this.#heldBytes);
    this.#heldBytes = needed;
  }

  #frame(body: Uint8Array): FrameBody {
    const frame = readFrameBody(body);
    if (frame.kind !== "refusal" && frame.payload.length > this.#payloadBytesMax)
      throw oversize(frame.payload.length, this.#payloadBytesMax);
    return frame;
  }

  #lengthAt(bytes: Uint8Array, at: number): readonly [size: number, start: number] | undefined {
    const length = readVarint(bytes, at);
    if (length === undefined) {
      if (bytes.length - at >= LENGTH_BYTES_MAX)
        throw new FrameError("malformed", "a frame's length can not be read");
      return undefined;
    }
    if (length[0] > this.#bodyBytesMax) throw oversize(length[0], this.#bodyBytesMax);
    return length;
  }
}

function oversize(bytes: number, bytesMax: number): FrameError {
  return new FrameError("oversize", `a frame of ${bytes} bytes is past the ${bytesMax} allowed`);
}
