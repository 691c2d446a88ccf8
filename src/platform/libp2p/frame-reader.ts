import { Uint8ArrayList } from "uint8arraylist";
import {
  FRAME_OVERHEAD_BYTES,
  type FrameBody,
  FrameError,
  readFrameBody,
  readVarint,
} from "./frame-codec.ts";

const LENGTH_BYTES_MAX = 5;

/** Cuts what comes on a stream into frames. Holds one frame at most that is not complete yet. */
export class FrameReader {
  readonly #bodyBytesMax: number;
  readonly #held = new Uint8ArrayList();

  constructor(payloadBytesMax: number) {
    this.#bodyBytesMax = payloadBytesMax + FRAME_OVERHEAD_BYTES;
  }

  /**
   * @param onFrame called for every frame that is complete; returning false leaves the rest unread for good
   * @throws FrameError after which the stream makes no sense any more
   */
  push(data: Uint8Array | Uint8ArrayList, onFrame: (frame: FrameBody) => boolean): void {
    if (data instanceof Uint8Array && this.#held.byteLength === 0) {
      const rest = this.#read(data, onFrame);
      if (rest.length > 0) this.#held.append(rest);
      return;
    }
    this.#held.append(data);
    for (;;) {
      const whole = this.#next();
      if (whole === undefined || !onFrame(readFrameBody(whole))) return;
    }
  }

  /** @returns what is left at the end */
  #read(bytes: Uint8Array, onFrame: (frame: FrameBody) => boolean): Uint8Array {
    let at = 0;
    while (at < bytes.length) {
      const length = this.#lengthAt(bytes, at);
      if (length === undefined) break;
      const [size, start] = length;
      if (bytes.length - start < size) break;
      at = start + size;
      if (!onFrame(readFrameBody(bytes.subarray(start, at)))) return new Uint8Array(0);
    }
    return bytes.subarray(at);
  }

  /** @returns the next whole frame of what is held */
  #next(): Uint8Array | undefined {
    const head = this.#held.subarray(0, Math.min(LENGTH_BYTES_MAX, this.#held.byteLength));
    const length = this.#lengthAt(head, 0);
    if (length === undefined) return undefined;
    const [size, start] = length;
    if (this.#held.byteLength - start < size) return undefined;
    const body = this.#held.subarray(start, start + size);
    this.#held.consume(start + size);
    return body;
  }

  #lengthAt(bytes: Uint8Array, at: number): readonly [size: number, start: number] | undefined {
    const length = readVarint(bytes, at);
    if (length === undefined) {
      if (bytes.length - at >= LENGTH_BYTES_MAX)
        throw new FrameError("malformed", "a frame's length can not be read");
      return undefined;
    }
    if (length[0] > this.#bodyBytesMax)
      throw new FrameError(
        "oversize",
        `a frame of ${length[0]} bytes is past the ${this.#bodyBytesMax} allowed`,
      );
    return length;
  }
}
