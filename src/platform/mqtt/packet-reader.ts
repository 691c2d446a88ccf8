/** Takes what a {@link PacketReader} finds. */
export interface PacketSink {
  /** While this is true, what is read waits in the reader. */
  isPaused(): boolean;
  /** One whole packet: it lies in `data` from `start` to `end`, its body begins at `body`. */
  packet(data: Buffer, start: number, body: number, end: number): void;
  /** What comes next can not be read: no packet begins or is as long like that, or it is over the maximum. */
  unreadable(why: "malformed" | "too-large", bytes: number): void;
}

const EMPTY = Buffer.alloc(0);
const HEADER_BYTES_MAX = 5;
const PUBLISH = 3;
/** PUBREL, SUBSCRIBE and UNSUBSCRIBE. */
const WITH_RESERVED_BIT = new Set([6, 8, 10]);

/**
 * Cuts a byte stream into MQTT packets (MQTT 5 section 2.1) without copying those that lie in one piece. A
 * packet that is over the maximum is told as soon as its length is known, before its body is kept.
 */
export class PacketReader {
  readonly #sink: PacketSink;
  readonly #packetBytesMax: number;
  /** The beginning of what is not complete yet; filled up to `#length`. */
  #kept: Buffer = EMPTY;
  #length = 0;
  /** So many bytes it takes to go on. */
  #needed = 0;
  #broken = false;

  constructor(sink: PacketSink, packetBytesMax: number) {
    this.#sink = sink;
    this.#packetBytesMax = packetBytesMax;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    if (this.#length === 0) {
      this.#scan(chunk);
      return;
    }
    this.#keep(chunk);
    if (this.#length >= this.#needed && !this.#sink.isPaused()) this.resume();
  }

  /** Goes on with what waited while the sink was paused. */
  resume(): void {
    if (this.#length === 0 || this.#broken) return;
    // Packets point into this buffer from now on, so that it is not written to again.
    const data = this.#kept.subarray(0, this.#length);
    this.#kept = EMPTY;
    this.#length = 0;
    this.#scan(data);
  }

  #scan(data: Buffer): void {
    const sink = this.#sink;
    let at = 0;
    this.#needed = 0;
    while (at < data.length && !sink.isPaused()) {
      if (!isHead(data[at] ?? 0)) {
        this.#broken = true;
        sink.unreadable("malformed", 1);
        return;
      }
      let length = 0;
      let digits = 0;
      let byte = 0x80;
      while ((byte & 0x80) !== 0 && digits < 4 && at + 1 + digits < data.length) {
        byte = data[at + 1 + digits] ?? 0;
        length += (byte & 0x7f) * 2 ** (7 * digits++);
      }
      if ((byte & 0x80) !== 0) {
        if (digits === 4) {
          this.#broken = true;
          sink.unreadable("malformed", HEADER_BYTES_MAX);
          return;
        }
        this.#needed = data.length - at + 1;
        break;
      }
      const body = at + 1 + digits;
      const end = body + length;
      if (end - at > this.#packetBytesMax) {
        this.#broken = true;
        sink.unreadable("too-large", end - at);
        return;
      }
      if (end > data.length) {
        this.#needed = end - at;
        break;
      }
      sink.packet(data, at, body, end);
      at = end;
    }
    if (at < data.length) this.#keep(at === 0 ? data : data.subarray(at));
  }

  /** Grows by doubling: a large packet that drips in costs no more than twice its size. */
  #keep(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#kept.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#kept.length * 2));
      grown.set(this.#kept.subarray(0, this.#length));
      this.#kept = grown;
    }
    this.#kept.set(chunk, this.#length);
    this.#length = length;
  }
}

/** @returns whether a packet may begin with this byte (MQTT 5 sections 2.1.2 and 2.1.3). */
function isHead(byte: number): boolean {
  const type = byte >> 4;
  const flags = byte & 0xf;
  if (type === PUBLISH) return (flags & 6) !== 6;
  return type !== 0 && flags === (WITH_RESERVED_BIT.has(type) ? 2 : 0);
}
