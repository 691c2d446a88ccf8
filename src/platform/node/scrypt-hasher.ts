import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import type { PasswordHasher } from "../password-hasher.ts";

/** 16 MiB and five passes: what OWASP recommends where memory is short. */
const COST = { ln: 14, r: 8, p: 5 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;
/** A hash in a configuration may not ask for more memory than this. */
const MEMORY_BYTES_MAX = 134_217_728;

/** scrypt (RFC 7914) in threads of their own, written `$scrypt$ln=14,r=8,p=5$salt$hash`. */
export const scryptHasher: PasswordHasher = {
  async hash(password) {
    const salt = randomBytes(SALT_BYTES);
    const derived = await derive(password, salt, COST);
    const { ln, r, p } = COST;
    return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(derived)}`;
  },
  async verify(password, hash) {
    const [, ln = "", r = "", p = "", salt = "", expected = ""] = FORM.exec(hash) ?? [];
    const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
    if (cost.ln < 1 || cost.r < 1 || cost.p < 1) return false;
    if (128 * 2 ** cost.ln * cost.r > MEMORY_BYTES_MAX) return false;
    const derived = await derive(password, Buffer.from(salt, "base64"), cost);
    return timingSafeEqual(derived, Buffer.from(expected, "base64"));
  },
};

function derive(
  password: Uint8Array,
  salt: Buffer,
  { ln, r, p }: { ln: number; r: number; p: number },
): Promise<Buffer> {
  const options = { N: 2 ** ln, r, p, maxmem: 2 * MEMORY_BYTES_MAX };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, options, (error, derived) =>
      error === null ? resolve(derived) : reject(error),
    );
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
