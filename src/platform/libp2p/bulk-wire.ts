import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Stream } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";
import { NetworkError } from "../network.ts";
import { FrameError, putVarint, readVarint, varintBytes } from "./frame-codec.ts";

/** The sender never has more than this on the way beyond what the receiver said it took. */
export const BULK_WINDOW_BYTES = 2_097_152;
/** Largest short message: a refusal with its texts. */
const MESSAGE_BYTES_MAX = 2_048;
const LENGTH_BYTES_MAX = 5;
/** Pieces that are held apart; a peer that sends single bytes has them joined. */
const PIECES_MAX = 4_096;

/** @returns a message after its length as a varint */
export function bulkMessage<S extends DescMessage>(
  schema: S,
  init: MessageInitShape<S>,
): Uint8Array {
  const body = toBinary(schema, create(schema, init));
  const whole = new Uint8Array(varintBytes(body.length) + body.length);
  whole.set(body, putVarint(whole, 0, body.length));
  return whole;
}

/** @throws FrameError */
export function readBulkMessage<S extends DescMessage>(
  schema: S,
  body: Uint8Array,
): MessageShape<S> {
  try {
    return fromBinary(schema, body);
  } catch (error) {
    throw new FrameError("malformed", `no ${schema.name}: ${(error as Error).message}`);
  }
}

/** Reads a stream on which short messages and raw bytes take turns. */
export class TurnReader {
  readonly #stream: Stream;
  readonly #heldBytesMax: number;
  #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  #wake: (() => void) | undefined;
  #interrupt: ((error: Error) => void) | undefined;
  /** Why nothing more comes. */
  #ended: Error | undefined;
  #closed = false;
  #discards = false;

  /** @param heldBytesMax a peer that sends more than this before it is read loses the stream */
  constructor(stream: Stream, heldBytesMax: number) {
    this.#stream = stream;
    this.#heldBytesMax = heldBytesMax;
    stream.addEventListener("message", ({ data }) => this.#hold(data));
    stream.addEventListener("remoteCloseWrite", () =>
      this.#end(new NetworkError("network.closed", "the other side ended the bulk stream early")),
    );
    stream.addEventListener("close", ({ error: cause }) => {
      this.#closed = true;
      this.#end(new NetworkError("network.closed", "the bulk stream was closed", { cause }));
      if (this.#ended !== undefined) this.#interrupt?.(this.#ended);
    });
    // It may have closed between its opening and this moment, and tells nobody any more.
    if (stream.status !== "open") {
      this.#closed = true;
      this.#end(new NetworkError("network.closed", "the bulk stream was closed"));
    }
  }

  /** @returns the next short message if it is there already @throws FrameError */
  next(): Uint8Array | undefined {
    if (this.#heldBytes === 0) return undefined;
    const length = readVarint(this.#front(LENGTH_BYTES_MAX), 0);
    if (length === undefined) {
      if (this.#heldBytes < LENGTH_BYTES_MAX) return undefined;
      throw new FrameError("malformed", "a length that can not be read on a bulk stream");
    }
    const [size, start] = length;
    if (size > MESSAGE_BYTES_MAX)
      throw new FrameError("oversize", `a message of ${size} bytes on a bulk stream`);
    if (this.#heldBytes < start + size) return undefined;
    const body = this.#front(start + size).slice(start, start + size);
    this.#consume(start + size);
    return body;
  }

  /** @returns the next short message @throws NetworkError when the stream ends first @throws FrameError */
  async message(): Promise<Uint8Array> {
    for (;;) {
      const message = this.next();
      if (message !== undefined) return message;
      await this.#more();
    }
  }

  /**
   * Takes exactly `size` raw bytes, one piece after the other.
   * @throws NetworkError when the stream ends first, and what `take` throws
   */
  async raw(size: number, take: (bytes: Uint8Array) => undefined | Promise<void>): Promise<void> {
    for (let left = size; left > 0; ) {
      const [piece] = this.#pieces;
      if (piece === undefined) {
        await this.#more();
        continue;
      }
      const bytes = piece.length > left ? piece.subarray(0, left) : piece;
      this.#consume(bytes.length);
      left -= bytes.length;
      const taken = take(bytes);
      if (taken instanceof Promise) await this.whileOpen(taken);
    }
  }

  /** @returns what `pending` gives @throws NetworkError as soon as the stream is closed, whatever becomes of it */
  whileOpen<T>(pending: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed && this.#ended !== undefined) reject(this.#ended);
      this.#interrupt = reject;
      pending.then(resolve, reject);
    });
  }

  /** Throws away what still comes, and resolves once the other side has ended. */
  async end(): Promise<void> {
    this.#discards = true;
    this.#pieces = [];
    this.#heldBytes = 0;
    while (this.#ended === undefined)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  #hold(data: Uint8Array | Uint8ArrayList): void {
    if (this.#discards) return;
    if (data instanceof Uint8Array) this.#pieces.push(data);
    else for (const piece of data) this.#pieces.push(piece);
    this.#heldBytes += data.byteLength;
    if (this.#heldBytes > this.#heldBytesMax) {
      const error = new FrameError("oversize", `${this.#heldBytes} bytes came unasked for`);
      this.#ended = error;
      this.#stream.abort(error);
      return;
    }
    if (this.#pieces.length > PIECES_MAX) this.#pieces = [Buffer.concat(this.#pieces)];
    this.#turn();
  }

  /** @returns the first `length` bytes, or as many as there are */
  #front(length: number): Uint8Array {
    const wanted = Math.min(length, this.#heldBytes);
    let [first = new Uint8Array(0)] = this.#pieces;
    while (first.length < wanted) {
      first = Buffer.concat(this.#pieces.splice(0, 2));
      this.#pieces.unshift(first);
    }
    return first.subarray(0, wanted);
  }

  /** Takes bytes off the front; they are all of the first piece or part of it. */
  #consume(bytes: number): void {
    const [first] = this.#pieces;
    if (first === undefined || first.length <= bytes) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(bytes);
    this.#heldBytes -= bytes;
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #turn(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#turn();
  }
}
