import type { Stream } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";

/**
 * As much of a stream as this project uses, in the hand of the test: it takes what it is sent until it is told to be
 * full, and goes on when it is drained, the way streams do it, in a microtask after its event.
 */
export class FakeStream extends EventTarget {
  status = "open";
  remoteWriteStatus = "writable";
  writableNeedsDrain = false;
  readonly sent: Uint8Array[] = [];
  /** Taken, but not sent. */
  readonly held: Uint8Array[] = [];
  /** Whether what is sent stays here. */
  full = false;
  aborted: Error | undefined;

  get stream(): Stream {
    return this as unknown as Stream;
  }

  get sentBytes(): Buffer {
    return Buffer.concat(this.sent);
  }

  get writeBufferLength(): number {
    return this.held.reduce((sum, { length }) => sum + length, 0);
  }

  send(data: Uint8Array | Uint8ArrayList): boolean {
    if (this.status !== "open") throw new Error(`the stream is ${this.status}`);
    (this.full ? this.held : this.sent).push(Buffer.from(data.subarray()));
    this.writableNeedsDrain = this.full;
    return !this.full;
  }

  /** @param part how many of the held pieces go out */
  drain(part = Number.POSITIVE_INFINITY): void {
    this.writableNeedsDrain = false;
    queueMicrotask(() => {
      this.sent.push(...this.held.splice(0, part));
      this.writableNeedsDrain = this.held.length > 0;
    });
    this.dispatchEvent(new Event("drain"));
  }

  receive(data: Uint8Array | Uint8ArrayList): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  close(): Promise<void> {
    this.#end("closed", undefined);
    return Promise.resolve();
  }

  abort(error: Error): void {
    if (this.status !== "open") return;
    this.aborted = error;
    this.#end("aborted", error);
  }

  #end(status: string, error: Error | undefined): void {
    this.status = status;
    this.remoteWriteStatus = "closed";
    this.dispatchEvent(Object.assign(new Event("close"), { error }));
  }
}
