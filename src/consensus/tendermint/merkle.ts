import type { Hasher } from "../../platform/hasher.ts";

const LEAF = 0;
const NODE = 1;
const DIGEST_BYTES = 32;

/** A tree over a list of leaves: its root, and for each leaf the digests that lead from it to the root. */
export interface MerkleTree {
  /** 64 hexadecimal digits, as all digests here. */
  readonly root: string;
  readonly proofs: readonly (readonly string[])[];
}

/** The tree of RFC 6962, section 2.1, with a domain for leaves and one for nodes. @throws Error for no leaves */
export function merkleTree(leaves: readonly Uint8Array[], hasher: Hasher): MerkleTree {
  let level = leaves.map((leaf) => leafDigest(leaf, hasher));
  const proofs: string[][] = leaves.map(() => []);
  let positions = leaves.map((_, at) => at);
  while (level.length > 1) {
    const digests = level;
    for (const [leaf, at] of positions.entries()) {
      const sibling = digests[at ^ 1];
      // The last one of an odd level has no sibling: it goes up as it is.
      if (sibling !== undefined) proofs[leaf]?.push(sibling);
    }
    positions = positions.map((at) => at >> 1);
    level = [];
    for (let at = 0; at < digests.length; at += 2) {
      const left = digests[at] ?? "";
      const right = digests[at + 1];
      level.push(right === undefined ? left : nodeDigest(left, right, hasher));
    }
  }
  const [root] = level;
  if (root === undefined) throw new Error("a tree has leaves");
  return { root, proofs };
}

/** @returns whether the leaf is at that place of the tree with that root: RFC 9162, section 2.1.3.2 */
export function isInTree(
  root: string,
  leaf: Uint8Array,
  place: { readonly index: number; readonly count: number },
  proof: readonly string[],
  hasher: Hasher,
): boolean {
  let { index } = place;
  let last = place.count - 1;
  if (index < 0 || index > last) return false;
  let digest = leafDigest(leaf, hasher);
  for (const sibling of proof) {
    if (last === 0) return false;
    if (index % 2 === 1 || index === last) {
      digest = nodeDigest(sibling, digest, hasher);
      while (index % 2 === 0 && index !== 0) {
        index >>= 1;
        last >>= 1;
      }
    } else digest = nodeDigest(digest, sibling, hasher);
    index >>= 1;
    last >>= 1;
  }
  return last === 0 && hasher.equal(digest, root);
}

function leafDigest(leaf: Uint8Array, hasher: Hasher): string {
  const bytes = new Uint8Array(1 + leaf.length);
  bytes[0] = LEAF;
  bytes.set(leaf, 1);
  return hasher.sha256Hex(bytes);
}

function nodeDigest(left: string, right: string, hasher: Hasher): string {
  const bytes = new Uint8Array(1 + 2 * DIGEST_BYTES);
  bytes[0] = NODE;
  putHex(bytes, 1, left);
  putHex(bytes, 1 + DIGEST_BYTES, right);
  return hasher.sha256Hex(bytes);
}

function putHex(bytes: Uint8Array, at: number, hex: string): void {
  for (let byte = 0; byte < DIGEST_BYTES; byte++)
    bytes[at + byte] = Number.parseInt(hex.slice(2 * byte, 2 * byte + 2), 16);
}
