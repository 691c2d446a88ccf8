import type { Random } from "../../platform/random.ts";
import { type CompressionOptions, compress, decompress } from "./codec.ts";

/** What compression made of an update. */
export interface Compressed {
  /** As they travel. */
  readonly bytes: Uint8Array;
  /** What the receiver makes of them. */
  readonly received: Float32Array;
  /** Length of what is missing by the length of what should have been sent (L2); 0 is without loss. */
  readonly error: number;
}

/**
 * Remembers what compression left out, and adds it to the next update, so that nothing is lost but time (Stich, Cordonnier,
 * Jaggi 2018, algorithm 1; Karimireddy et al. 2019). A sender keeps one of these.
 */
export class ErrorFeedback {
  readonly #options: CompressionOptions;
  readonly #random: Random | undefined;
  #residual: Float32Array | undefined;

  /** @param residual what an earlier one left, to go on with */
  constructor(options: CompressionOptions, random?: Random, residual?: Float32Array) {
    this.#options = options;
    this.#random = random;
    this.#residual = residual?.slice();
  }

  /** What has not been sent yet; nothing before the first update. */
  get residual(): Float32Array | undefined {
    return this.#residual;
  }

  /** @throws CompressionError; what is remembered stays as it was */
  compress(update: Float32Array): Compressed {
    const residual = this.#residual;
    const wanted = update.slice();
    if (residual !== undefined)
      for (let at = 0; at < wanted.length; at++)
        wanted[at] = (wanted[at] as number) + (residual[at] ?? 0);
    const compressed = compressOnce(wanted, this.#options, this.#random);
    for (let at = 0; at < wanted.length; at++)
      wanted[at] = (wanted[at] as number) - (compressed.received[at] as number);
    this.#residual = wanted;
    return compressed;
  }
}

/** Compresses without remembering what was left out. @throws CompressionError */
export function compressOnce(
  update: Float32Array,
  options: CompressionOptions,
  random?: Random,
): Compressed {
  const bytes = compress(update, options, random);
  const received = decompress(bytes, update.length);
  let missing = 0;
  let whole = 0;
  for (let at = 0; at < update.length; at++) {
    const value = update[at] as number;
    missing += (value - (received[at] as number)) ** 2;
    whole += value * value;
  }
  return { bytes, received, error: whole === 0 ? 0 : Math.sqrt(missing / whole) };
}
