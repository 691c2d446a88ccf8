interface Inflight {
  readonly index: number;
  readonly bytes: number;
}

/** When there are as many behind the head as still in use, they are let go of. */
const COMPACT_AT = 64;

/** Append messages that were sent and not acknowledged, limited by number and by bytes. */
export class Inflights {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #queue: Inflight[] = [];
  #head = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#queue.length - this.#head;
  }

  /** Nothing more may be sent before something is acknowledged. The last message may exceed the bytes. */
  get isFull(): boolean {
    return this.count >= this.#countMax || this.#bytes >= this.#bytesMax;
  }

  /** @param index the last index in the message, ascending from call to call; @param bytes the data in it */
  add(index: number, bytes: number): void {
    this.#queue.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Everything up to this index arrived. */
  freeTo(index: number): void {
    for (;;) {
      const first = this.#queue[this.#head];
      if (first === undefined || first.index > index) break;
      this.#bytes -= first.bytes;
      this.#head++;
    }
    if (this.#head < COMPACT_AT || this.#head < this.count) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
