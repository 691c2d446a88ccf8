import type { Hasher } from "../platform/hasher.ts";

/** A sheet begins with the tag of its first field, the task, and that one's length; an update that is packed as zstd frames do. */
const STARTS: readonly (readonly number[])[] = [
  [0x0a, 0x10],
  [0x28, 0xb5, 0x2f, 0xfd],
];

/**
 * Sees whatever agents take the hash of, and keeps what may be a model, an update or a sheet of a round: so that a checker has the
 * bytes that a hash stands for, without asking any agent.
 */
export class TensorWitness {
  readonly #hasher: Hasher;
  readonly #modelBytes: number;
  readonly #seen = new Map<string, Uint8Array>();

  /** @param modelBytes length of a model, and of an update */
  constructor(hasher: Hasher, modelBytes: number) {
    this.#hasher = hasher;
    this.#modelBytes = modelBytes;
  }

  /** The hasher as agents are to have it. */
  hasher(): Hasher {
    const hasher = this.#hasher;
    return {
      equal: (left, right) => hasher.equal(left, right),
      sha256Hex: (data) => {
        const hash = hasher.sha256Hex(data);
        if (typeof data !== "string" && this.#mayMatter(data) && !this.#seen.has(hash))
          this.#seen.set(hash, data.slice());
        return hash;
      },
    };
  }

  /** What has that hash; undefined where nobody ever took it. */
  bytes(hash: string): Uint8Array | undefined {
    return this.#seen.get(hash);
  }

  #mayMatter(data: Uint8Array): boolean {
    return (
      data.length === this.#modelBytes ||
      STARTS.some((start) => start.every((byte, at) => data[at] === byte))
    );
  }
}
