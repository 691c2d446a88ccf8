import type { Stream } from "@libp2p/interface";
import { NetworkError, type Protocol } from "../network.ts";
import type { Tally } from "../network-tally.ts";
import { type FrameBody, FrameError, frameHeader } from "./frame-codec.ts";
import { FrameReader } from "./frame-reader.ts";
import { StreamWriter } from "./stream-writer.ts";
import { lazyWindow } from "./yamux-window.ts";

const IDS = 0xffff_ffff;
/** Requests of one stream that wait for their answers at once. */
const WAITING_MAX = 16_384;

interface Waiting {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: NetworkError) => void;
  /** On the monotonic clock of the process. */
  readonly untilMs: number;
  readonly timeoutMs: number;
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
  /** One for all requests: most are answered long before, and setting one for each costs more than its answer. */
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  /** @param onOffence hears what the peer did wrong before the stream is given up */
  constructor(stream: Stream, protocol: Protocol, tally: Tally, onOffence: (kind: string) => void) {
    this.#stream = stream;
    lazyWindow(stream);
    this.#protocol = protocol;
    this.#tally = tally;
    this.#writer = new StreamWriter(stream, protocol.queueBytesMax);
    this.#reader = new FrameReader(protocol.messageBytesMax);
    stream.addEventListener("message", ({ data }) => {
      try {
        this.#reader.push(data, (frame) => this.#take(frame));
      } catch (error) {
        onOffence(error instanceof FrameError ? error.offence : "malformed");
        stream.abort(error as Error);
      }
    });
    // The other side has nothing more to say, so no answer can come.
    const close = (): void => void stream.close().catch(() => undefined);
    stream.addEventListener("remoteCloseWrite", close);
    stream.addEventListener("close", ({ error }) => this.#end(error));
    // Either may have come between its opening and this moment.
    if (stream.status !== "open") this.#end(undefined);
    else if (stream.remoteWriteStatus !== "writable") close();
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
      if (this.#waiting.size >= WAITING_MAX)
        throw new NetworkError("network.queue-full", `${WAITING_MAX} requests wait for answers`);
      const id = this.#freeId();
      const untilMs = performance.now() + timeoutMs;
      this.#waiting.set(id, { resolve, reject, untilMs, timeoutMs });
      if (untilMs < this.#timerAtMs) this.#wakeAt(untilMs);
      this.#tally.requestsSent++;
      this.#tally.sentBytes += payload.length;
      this.#write([frameHeader("request", id, payload.length), payload], (error) => {
        if (error === undefined) return;
        this.#settle(id)?.reject(error);
        // A stream that has ended already refuses here, and its timer would keep the process alive.
        if (this.#waiting.size === 0) this.#rest();
      });
    });
  }

  /** Gives the stream up; what waits fails. */
  abort(error: Error): void {
    this.#stream.abort(error);
    this.#end(error);
  }

  /**
   * Gives the stream up once the other side has read what was written; requests fail at once. What it has not read yet would
   * be lost with the connection otherwise.
   * @param signal ends the wait
   */
  async finish(signal: AbortSignal): Promise<void> {
    const error = new NetworkError("network.closed", "the link is gone");
    this.#rest();
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(error);
    try {
      await this.#stream.close({ signal });
      // The other side closes its end when it has read everything.
      await closed(this.#stream, signal);
      this.#end(error);
    } catch {
      // The other side does not take it, or has gone before.
      this.abort(error);
    }
  }

  #write(parts: readonly Uint8Array[], taken: (error?: NetworkError) => void): void {
    if (this.#writer.write(parts, taken)) return;
    const message = `${this.#writer.queuedBytes} bytes wait for a peer that does not read ${this.#protocol.id}`;
    taken(new NetworkError("network.queue-full", message));
  }

  #take(frame: FrameBody): boolean {
    if (frame.kind !== "response" && frame.kind !== "refusal")
      throw new FrameError("malformed", `a ${frame.kind} from the side that answers`);
    // An answer that comes after its time has nobody waiting for it.
    const waiting = this.#settle(frame.id);
    if (waiting === undefined) return true;
    if (frame.kind === "refusal") {
      const { code: refusal, detail } = frame;
      waiting.reject(new NetworkError("network.refused", `${refusal}: ${detail}`, { refusal }));
    } else {
      this.#tally.receivedBytes += frame.payload.length;
      waiting.resolve(frame.payload);
    }
    return true;
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    return waiting;
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const delayMs = Math.ceil(atMs - performance.now());
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, delayMs));
  }

  /** Fails what has waited for too long, and looks again when the next one will have. */
  #expire(): void {
    const nowMs = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, { untilMs, timeoutMs }] of this.#waiting)
      if (untilMs > nowMs) nextMs = Math.min(nextMs, untilMs);
      else {
        const message = `no answer on ${this.#protocol.id} in ${timeoutMs} ms`;
        this.#settle(id)?.reject(new NetworkError("network.timeout", message));
      }
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (nextMs < Number.POSITIVE_INFINITY) this.#wakeAt(nextMs);
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
  }

  #freeId(): number {
    do this.#lastId = (this.#lastId % IDS) + 1;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #end(cause: Error | undefined): void {
    const error = new NetworkError("network.closed", "the stream was closed", { cause });
    this.#writer.fail(error);
    this.#rest();
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(error);
  }
}

/** @throws the signal's reason when the stream is not closed by then */
function closed(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.status !== "open" && stream.status !== "closing") {
      resolve();
      return;
    }
    stream.addEventListener("close", () => resolve(), { once: true });
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
