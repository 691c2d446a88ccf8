import type { Hasher } from "../../platform/hasher.ts";
import { isInTree, merkleTree } from "./merkle.ts";
import type { ValueId } from "./vote.ts";

const MANIFEST_PURPOSE = "agent-mesh/tendermint/value/1";
/** Of one value. One request asks for all that are missing. */
export const PARTS_MAX = 64;
/** Digests from a leaf to the root of a tree with so many leaves. */
export const PROOF_DIGESTS_MAX = 6;

/** What a value is made of; its digest is the value's name. */
export interface Manifest {
  /** Root of the Merkle tree over the parts. */
  readonly root: string;
  /** Of the whole value. */
  readonly bytes: number;
  /** Of each part but the last. */
  readonly partBytes: number;
}

/** A piece of a value, and the proof that it belongs there. */
export interface Part {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly proof: readonly string[];
}

/** A value in pieces. */
export interface SplitValue {
  readonly valueId: ValueId;
  readonly manifest: Manifest;
  readonly parts: readonly Part[];
}

/** What became of a part. */
export type PartOutcome = "complete" | "taken" | "duplicate" | "bad-part";

/** @returns how many parts the value has; an empty value has one empty part */
export function partCountOf({ bytes, partBytes }: Manifest): number {
  return Math.max(1, Math.ceil(bytes / partBytes));
}

/** The name of the value with that manifest. */
export function valueIdOf({ root, bytes, partBytes }: Manifest, hasher: Hasher): ValueId {
  return hasher.sha256Hex(`${MANIFEST_PURPOSE}\0${root}/${bytes}/${partBytes}`);
}

/** @throws RangeError when the value would have more than {@link PARTS_MAX} parts */
export function split(value: Uint8Array, partBytes: number, hasher: Hasher): SplitValue {
  const count = Math.max(1, Math.ceil(value.length / partBytes));
  if (count > PARTS_MAX)
    throw new RangeError(`${value.length} bytes make ${count} parts, and ${PARTS_MAX} is the most`);
  const pieces = Array.from({ length: count }, (_, index) =>
    value.subarray(index * partBytes, (index + 1) * partBytes),
  );
  const { root, proofs } = merkleTree(pieces, hasher);
  const manifest = { root, bytes: value.length, partBytes };
  const parts = pieces.map((bytes, index) => ({ index, bytes, proof: proofs[index] ?? [] }));
  return { valueId: valueIdOf(manifest, hasher), manifest, parts };
}

/** Puts a value together from parts in any order. Holds no more than the manifest says. */
export class PartAssembler {
  readonly manifest: Manifest;
  readonly #hasher: Hasher;
  readonly #parts: (Uint8Array | undefined)[];
  #missing: number;

  constructor(manifest: Manifest, hasher: Hasher) {
    this.manifest = manifest;
    this.#hasher = hasher;
    this.#missing = partCountOf(manifest);
    this.#parts = Array.from({ length: this.#missing }, () => undefined);
  }

  /** Indexes of the parts that are not here yet. */
  missing(): number[] {
    return this.#parts.flatMap((part, index) => (part === undefined ? [index] : []));
  }

  add({ index, bytes, proof }: Part): PartOutcome {
    const count = this.#parts.length;
    if (index >= count) return "bad-part";
    if (this.#parts[index] !== undefined) return "duplicate";
    const { root, bytes: total, partBytes } = this.manifest;
    if (bytes.length !== Math.min(partBytes, total - index * partBytes)) return "bad-part";
    if (!isInTree(root, bytes, { index, count }, proof, this.#hasher)) return "bad-part";
    this.#parts[index] = bytes;
    this.#missing--;
    return this.#missing === 0 ? "complete" : "taken";
  }

  /** @throws Error while parts are missing */
  value(): Uint8Array {
    const value = new Uint8Array(this.manifest.bytes);
    for (const [index, part] of this.#parts.entries()) {
      if (part === undefined) throw new Error(`part ${index} is missing`);
      value.set(part, index * this.manifest.partBytes);
    }
    return value;
  }
}
