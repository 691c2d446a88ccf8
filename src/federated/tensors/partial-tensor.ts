import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Part of a tensor and who gave it. */
interface Segment {
  readonly from: PeerId;
  readonly start: number;
  end: number;
}

/** Bytes that one peer gave for a tensor that turned out wrong, to be judged when the right ones are known. */
export interface Suspicion {
  readonly from: PeerId;
  readonly start: number;
  readonly end: number;
  readonly sha256: string;
}

/** A tensor that is coming in, from the beginning on, from one holder or one after the other. */
export class PartialTensor {
  readonly hash: string;
  readonly sizeBytes: number;
  #bytes: Uint8Array | undefined;
  #segments: Segment[] = [];
  #length = 0;

  constructor(hash: string, sizeBytes: number) {
    this.hash = hash;
    this.sizeBytes = sizeBytes;
  }

  /** Bytes that are there. */
  get length(): number {
    return this.#length;
  }

  get isWhole(): boolean {
    return this.#length === this.sizeBytes;
  }

  /** Who gave what is there. */
  get sources(): ReadonlySet<PeerId> {
    return new Set(this.#segments.map(({ from }) => from));
  }

  /** Takes the next bytes. @returns false, taking none, when they are more than the tensor has */
  append(from: PeerId, bytes: Uint8Array): boolean {
    if (bytes.length > this.sizeBytes - this.#length) return false;
    // Not before there is something to put in: a size is only what somebody said.
    this.#bytes ??= new Uint8Array(this.sizeBytes);
    this.#bytes.set(bytes, this.#length);
    const last = this.#segments.at(-1);
    const end = this.#length + bytes.length;
    if (last?.from === from) last.end = end;
    else this.#segments.push({ from, start: this.#length, end });
    this.#length = end;
    return true;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#all().subarray(offset, Math.min(this.#length, offset + length));
  }

  /** @returns whether all is there and has the hash */
  isRight(hasher: Hasher): boolean {
    return this.isWhole && hasher.sha256Hex(this.#all()) === this.hash;
  }

  /** @returns the bytes; nothing is left here */
  take(): Uint8Array {
    const bytes = this.#all();
    this.reset();
    return bytes;
  }

  /** Forgets everything. */
  reset(): void {
    this.#bytes = undefined;
    this.#segments = [];
    this.#length = 0;
  }

  /** @returns what to remember of wrong bytes that came from several */
  suspicions(hasher: Hasher): Suspicion[] {
    return this.#segments.map(({ from, start, end }) => ({
      from,
      start,
      end,
      sha256: hasher.sha256Hex(this.#all().subarray(start, end)),
    }));
  }

  #all(): Uint8Array {
    return this.#bytes ?? new Uint8Array(0);
  }
}

/** @returns those whose bytes were not the right ones */
export function convicted(
  suspicions: readonly Suspicion[],
  right: Uint8Array,
  hasher: Hasher,
): ReadonlySet<PeerId> {
  const wrong = suspicions.filter(
    ({ start, end, sha256 }) => hasher.sha256Hex(right.subarray(start, end)) !== sha256,
  );
  return new Set(wrong.map(({ from }) => from));
}
