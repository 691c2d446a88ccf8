import { webcrypto } from "node:crypto";

/** PKCS #8 of an Ed25519 key up to the seed (RFC 8410 section 7). */
const PKCS8_HEAD = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/** SubjectPublicKeyInfo of an Ed25519 key up to the key (RFC 8410 section 4). */
const SPKI_HEAD = Uint8Array.from([
  0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
]);

const KEY_BYTES = 32;

/** The device's identity key, raw (RFC 8032). */
export interface DeviceKey {
  /** 32 bytes. */
  readonly seed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** @returns the key as WebCrypto has it @throws RangeError when a part does not have 32 bytes */
export async function keyPairOf({ seed, publicKey }: DeviceKey): Promise<webcrypto.CryptoKeyPair> {
  if (seed.length !== KEY_BYTES || publicKey.length !== KEY_BYTES)
    throw new RangeError("an Ed25519 key has 32 bytes");
  const { subtle } = webcrypto;
  const pkcs8 = Buffer.concat([PKCS8_HEAD, seed]);
  const spki = Buffer.concat([SPKI_HEAD, publicKey]);
  return {
    privateKey: await subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]),
    publicKey: await subtle.importKey("spki", spki, "Ed25519", true, ["verify"]),
  };
}

/** @returns the private key as TLS libraries read it: PKCS #8 in PEM @throws RangeError when it does not have 32 bytes */
export function privateKeyPem({ seed }: Pick<DeviceKey, "seed">): string {
  if (seed.length !== KEY_BYTES) throw new RangeError("an Ed25519 key has 32 bytes");
  const base64 = Buffer.concat([PKCS8_HEAD, seed]).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
}

/** @returns the raw key in a SubjectPublicKeyInfo; undefined when it is none of Ed25519 */
export function ed25519KeyIn(spki: Uint8Array): Uint8Array | undefined {
  if (spki.length !== SPKI_HEAD.length + KEY_BYTES) return undefined;
  if (SPKI_HEAD.some((byte, at) => spki[at] !== byte)) return undefined;
  return spki.slice(SPKI_HEAD.length);
}
