import { Duplex } from "node:stream";

/** What a link tells the connection it belongs to. */
export interface LinkOwner {
  /** A whole packet from Aedes to the client. @returns false when Aedes had better wait for a `drain` */
  outgoing(frame: Buffer): boolean;
  /** Aedes wants to read more. */
  wanted(): void;
  /** Aedes, or an error, ended the connection. */
  ended(): void;
}

const HEADER_BYTES_MAX = 5;

/**
 * What Aedes takes for the client's socket. Packets that the connection does not handle by itself go in with
 * `push`; what Aedes answers comes out as whole packets, though mqtt-packet writes them in many small pieces.
 */
export class AedesLink extends Duplex {
  readonly #owner: LinkOwner;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the packet that is being written, as soon as its header is there. */
  #needed = 0;

  constructor(owner: LinkOwner) {
    // Half open is nothing that MQTT knows.
    super({ allowHalfOpen: false, emitClose: true });
    this.#owner = owner;
  }

  override _read(): void {
    this.#owner.wanted();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#owner.ended();
    done(error);
  }

  /** Straight to the owner: the machinery of a stream costs more than the packets. */
  override write(chunk: Uint8Array | string): boolean {
    if (this.destroyed) return true;
    const piece = typeof chunk === "string" ? Buffer.from(chunk) : asBuffer(chunk);
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#needed === 0) this.#needed = packetBytes(this.#pieces);
    if (this.#needed === 0 || this.#bytes < this.#needed) return true;
    const frame = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    this.#needed = 0;
    return this.#owner.outgoing(frame);
  }

  /** Nothing to do: packets are told apart by their length. */
  override cork(): void {}

  /** As with `cork`. */
  override uncork(): void {}
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @returns the whole packet's size, or 0 while its header is not there. */
function packetBytes(pieces: readonly Buffer[]): number {
  const head: number[] = [];
  for (const piece of pieces)
    for (const byte of piece) {
      head.push(byte);
      if (head.length > 1 && (byte & 0x80) === 0) return sizeOf(head);
      if (head.length === HEADER_BYTES_MAX) return 0;
    }
  return 0;
}

function sizeOf([, ...digits]: readonly number[]): number {
  const length = digits.reduce((sum, digit, at) => sum + (digit & 0x7f) * 2 ** (7 * at), 0);
  return 1 + digits.length + length;
}
