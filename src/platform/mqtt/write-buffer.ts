const CHUNK_BYTES = 32 * 1_024;

/**
 * Gathers small writes of one turn of the event loop into few large ones: a system call, and the garbage of
 * a stream write, for every four-byte acknowledgement costs more than the rest of handling a message.
 */
export class WriteBuffer {
  readonly #write: (chunk: Buffer) => void;
  readonly #chunkBytes: number;
  #buffer = Buffer.alloc(0);
  /** Written to the stream up to here; filled up to `#at`. */
  #start = 0;
  #at = 0;
  #scheduled = false;

  constructor(write: (chunk: Buffer) => void, chunkBytes = CHUNK_BYTES) {
    this.#write = write;
    this.#chunkBytes = chunkBytes;
  }

  /** Makes room for `size` bytes and has `fill` write exactly that many from its offset on. */
  fill(size: number, fill: (buffer: Buffer, at: number) => void): void {
    if (size > this.#buffer.length - this.#at) {
      this.flush();
      // The old buffer may still be on its way to the socket: it is not used again.
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, size));
      this.#start = 0;
      this.#at = 0;
    }
    fill(this.#buffer, this.#at);
    this.#at += size;
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  append(bytes: Uint8Array): void {
    this.fill(bytes.length, (buffer, at) => {
      buffer.set(bytes, at);
    });
  }

  flush(): void {
    if (this.#at === this.#start) return;
    const chunk = this.#buffer.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#write(chunk);
  }
}
