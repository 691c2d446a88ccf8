import type { Stream } from "@libp2p/interface";
import { NetworkError, type Protocol } from "../network.ts";
import { type FrameBody, frameHeader } from "./frame-codec.ts";
import { FrameReader } from "./frame-reader.ts";
import { StreamWriter } from "./stream-writer.ts";
import type { Tally } from "./tally.ts";

const IDS = 0xffff_ffff;

interface Waiting {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: NetworkError) => void;
  readonly timeout: NodeJS.Timeout;
}

/**
 * The side of a kept stream that asks and tells. It is opened once and serves every message and request of one
 * protocol to one peer: a stream for each would cost seven times the work.
 */
export class AskingStream {
  readonly #stream: Stream;
  readonly #protocol: Protocol;
  readonly #tally: Tally;
  readonly #writer: StreamWriter;
  readonly #reader: FrameReader;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** @param onOffence hears what the peer did wrong before the stream is given up */
  constructor(stream: Stream, protocol: Protocol, tally: Tally, onOffence: (kind: string) => void) {
    this.#stream = stream;
    this.#protocol = protocol;
    this.#tally = tally;
    this.#writer = new StreamWriter(stream, protocol.queueBytesMax);
    this.#reader = new FrameReader(protocol.messageBytesMax);
    stream.addEventListener("message", ({ data }) => {
      try {
        this.#reader.push(data, (frame) => this.#take(frame));
      } catch (error) {
        onOffence((error as { offence?: string }).offence ?? "malformed");
        stream.abort(error as Error);
      }
    });
    // The other side has nothing more to say, so no answer can come.
    stream.addEventListener("remoteCloseWrite", () => void stream.close().catch(() => undefined));
    stream.addEventListener("close", ({ error }) => this.#end(error));
    // It may have closed between its opening and this moment.
    if (stream.status !== "open") this.#end(undefined);
  }

  get open(): boolean {
    return this.#stream.status === "open" && this.#stream.remoteWriteStatus === "writable";
  }

  /** @throws NetworkError */
  send(payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#write([frameHeader("message", 0, payload.length), payload], (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  /** @throws NetworkError */
  request(payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const id = this.#freeId();
      const timeout = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new NetworkError(
            "network.timeout",
            `no answer on ${this.#protocol.id} in ${timeoutMs} ms`,
          ),
        );
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timeout });
      this.#tally.requestsSent++;
      this.#write([frameHeader("request", id, payload.length), payload], (error) => {
        if (error !== undefined) this.#settle(id)?.reject(error);
      });
    });
  }

  /** Gives the stream up; what waits fails. */
  abort(error: Error): void {
    this.#stream.abort(error);
    this.#end(error);
  }

  #write(parts: readonly Uint8Array[], taken: (error?: NetworkError) => void): void {
    if (this.#writer.write(parts, taken)) return;
    const message = `${this.#writer.queuedBytes} bytes wait for a peer that does not read ${this.#protocol.id}`;
    taken(new NetworkError("network.queue-full", message));
  }

  #take(frame: FrameBody): boolean {
    // An answer that comes after its time has nobody waiting for it.
    const waiting = this.#settle(frame.id);
    if (waiting === undefined) return true;
    if (frame.kind === "response") waiting.resolve(frame.payload);
    else if (frame.kind === "refusal")
      waiting.reject(
        new NetworkError("network.refused", `${frame.code}: ${frame.detail}`, {
          refusal: frame.code,
        }),
      );
    else waiting.reject(new NetworkError("network.closed", "the answer is none"));
    return true;
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiting.timeout);
    return waiting;
  }

  #freeId(): number {
    do this.#lastId = (this.#lastId % IDS) + 1;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #end(cause: Error | undefined): void {
    const error = new NetworkError("network.closed", "the stream was closed", { cause });
    this.#writer.fail(error);
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(error);
  }
}
