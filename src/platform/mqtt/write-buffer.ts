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
  readonly #flushScheduled = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  constructor(write: (chunk: Buffer) => void, chunkBytes = CHUNK_BYTES) {
    this.#write = write;
    this.#chunkBytes = chunkBytes;
  }

  /** Where {@link reserve}d bytes go. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** @returns where in {@link buffer} the caller writes exactly `size` bytes, at once. */
  reserve(size: number): number {
    if (size > this.#buffer.length - this.#at) {
      this.flush();
      // The old buffer may still be on its way to the socket: it is not used again.
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, size));
      this.#start = 0;
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += size;
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#flushScheduled);
    }
    return at;
  }

  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  flush(): void {
    if (this.#at === this.#start) return;
    const chunk = this.#buffer.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#write(chunk);
  }
}
