import { hash, timingSafeEqual } from "node:crypto";
import type { Hasher } from "../hasher.ts";

/** Hashing by Node's OpenSSL. */
export const nodeHasher: Hasher = {
  sha256Hex: (data) => hash("sha256", data, "hex"),
  equal(left, right) {
    const [a, b] = [Buffer.from(left), Buffer.from(right)];
    return a.length === b.length && timingSafeEqual(a, b);
  },
};
