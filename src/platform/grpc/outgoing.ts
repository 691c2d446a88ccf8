import type { Metadata } from "@grpc/grpc-js";
import { type BridgeError, BridgeError as Failure } from "../bridge.ts";
import { bufferOf, type Packer } from "./packing.ts";
import { statusFrom } from "./status.ts";

/** What this needs of a call that grpc-js serves. */
interface Sender {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
  write(message: Buffer, done: () => void): boolean;
  end(): void;
  emit(event: "error", error: unknown): boolean;
}

/**
 * Sends the messages of one call, one after the other, as fast as the client reads. What waits is kept here rather
 * than in the library, since there it could not be taken back from a client that does not read.
 */
export class Outgoing {
  readonly #call: Sender;
  readonly #packer: Packer;
  readonly #onSent: (bytes: number) => void;
  #waiting: { readonly bytes: Uint8Array; readonly sent?: () => void }[] = [];
  #queuedBytes = 0;
  #sending = false;
  #ended = false;

  constructor(call: Sender, packer: Packer, onSent: (bytes: number) => void) {
    this.#call = call;
    this.#packer = packer;
    this.#onSent = onSent;
    call.sendMetadata(packer.headers());
  }

  /** Bytes that wait, with those that are being sent. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Takes an encoded message. @param sent is told when it has left */
  send(bytes: Uint8Array, sent?: () => void): void {
    if (this.#ended) return;
    this.#queuedBytes += bytes.length;
    this.#waiting.push(sent === undefined ? { bytes } : { bytes, sent });
    if (this.#sending) return;
    this.#sending = true;
    this.#pump().catch((error: unknown) => this.fail(error));
  }

  /** Resolves when the message has left. @throws BridgeError when the call ended before */
  async sendNow(bytes: Uint8Array): Promise<void> {
    if (this.#ended) throw new Failure("bridge.closed", "the call has ended");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#reject = reject;
    this.send(bytes, resolve);
    await promise;
  }

  #reject: ((error: BridgeError) => void) | undefined;

  /** The client went away: nothing more is sent. */
  abandon(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#reject?.(new Failure("bridge.closed", "the client went away"));
  }

  /** Ends the call well, behind everything that was sent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#sending) this.#call.end();
  }

  /** Ends the call with an error; what waits is not sent any more. */
  fail(error: unknown): void {
    if (this.#ended && !this.#sending) return;
    this.#ended = true;
    this.#waiting = [];
    this.#call.emit("error", statusFrom(error));
  }

  async #pump(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const packed = await this.#packer.pack(bufferOf(next.bytes));
      await new Promise<void>((resolve) => this.#call.write(packed, resolve));
      this.#queuedBytes -= next.bytes.length;
      this.#onSent(packed.length);
      next.sent?.();
    }
    this.#sending = false;
    if (this.#ended) this.#call.end();
  }
}
