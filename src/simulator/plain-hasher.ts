import type { Hasher } from "../platform/hasher.ts";
import { SeededRandom } from "../platform/seeded-random.ts";

/** Tells contents apart, as SHA-256 does, and costs next to nothing; nobody in the simulator breaks hashes. */
export const plainHasher: Hasher = {
  sha256Hex: (data) => {
    const seed = new SeededRandom(Buffer.from(data).toString("hex"));
    return Buffer.from(seed.bytes(32)).toString("hex");
  },
  equal: (left, right) => left === right,
};
