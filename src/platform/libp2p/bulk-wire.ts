import type { Stream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { NetworkError } from "../network.ts";
import { FrameError, putVarint, readVarint, varintBytes } from "./frame-codec.ts";

const HEADER_BYTES_MAX = 1_024;

/** @returns the bytes after their length as a varint */
export function withLength(body: Uint8Array): Uint8Array {
  const whole = new Uint8Array(varintBytes(body.length) + body.length);
  whole.set(body, putVarint(whole, 0, body.length));
  return whole;
}

/** Reads a stream on which short messages and raw bytes take turns. */
export class TurnReader {
  readonly #stream: Stream;
  readonly #held = new Uint8ArrayList();
  #wake: (() => void) | undefined;
  #ended: Error | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.addEventListener("message", ({ data }) => {
      this.#held.append(data);
      this.#turn();
    });
    stream.addEventListener("remoteCloseWrite", () => this.#end(undefined));
    stream.addEventListener("close", ({ error }) => this.#end(error));
  }

  /** @returns the next short message @throws NetworkError when the stream ends first @throws FrameError */
  async message(): Promise<Uint8Array> {
    for (;;) {
      const length = readVarint(this.#held.subarray(0, Math.min(5, this.#held.byteLength)), 0);
      if (length !== undefined && length[0] > HEADER_BYTES_MAX)
        throw new FrameError("oversize", `a message of ${length[0]} bytes on a bulk stream`);
      if (length === undefined && this.#held.byteLength >= 5)
        throw new FrameError("malformed", "a length that can not be read on a bulk stream");
      if (length !== undefined && this.#held.byteLength >= length[0] + length[1]) {
        const body = this.#held.slice(length[1], length[1] + length[0]);
        this.#held.consume(length[1] + length[0]);
        return body;
      }
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /**
   * Takes exactly `size` raw bytes. The stream is paused while `take` is busy, so that the sender waits.
   * @throws NetworkError when the stream ends first, and what `take` throws
   */
  async raw(size: number, take: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    let left = size;
    while (left > 0) {
      while (left > 0 && this.#held.byteLength > 0) {
        const bytes = this.#held.subarray(0, Math.min(left, this.#held.byteLength));
        this.#held.consume(bytes.length);
        left -= bytes.length;
        const taken = take(bytes);
        if (!(taken instanceof Promise)) continue;
        this.#pause();
        await taken;
      }
      if (left === 0) return;
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#stream.readStatus === "paused") this.#stream.resume();
        if (this.#held.byteLength > 0) this.#turn();
      });
    }
  }

  #pause(): void {
    if (this.#stream.readStatus === "readable") this.#stream.pause();
  }

  #turn(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #end(cause: Error | undefined): void {
    this.#ended ??= new NetworkError("network.closed", "the bulk stream ended early", { cause });
    this.#turn();
  }
}
