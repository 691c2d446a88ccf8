import type { Random } from "./random.ts";

/**
 * Reproducible chance: sfc32 (Doty-Humphrey, PractRand), seeded by a hash of the seed and the labels on the
 * way to this stream, so that streams do not depend on how much others draw.
 */
export class SeededRandom implements Random {
  readonly #path: string;
  readonly #state: Uint32Array;

  constructor(seed: string | number) {
    this.#path = String(seed);
    this.#state = new Uint32Array(4);
    for (let word = 0; word < 3; word++) this.#state[word] = fnv1a(`${word}:${this.#path}`);
    this.#state[3] = 1;
    for (let round = 0; round < 15; round++) this.#draw();
  }

  next(): number {
    return (this.#draw() * 2 ** 21 + (this.#draw() >>> 11)) / 2 ** 53;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#draw() & 0xff);
  }

  fork(label: string): Random {
    return new SeededRandom(`${this.#path}/${label}`);
  }

  #draw(): number {
    const state = this.#state;
    const b = state[1] ?? 0;
    const c = state[2] ?? 0;
    const counter = state[3] ?? 0;
    const result = ((state[0] ?? 0) + b + counter) >>> 0;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + result;
    state[3] = counter + 1;
    return result;
  }
}

/** FNV-1a, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++)
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}
