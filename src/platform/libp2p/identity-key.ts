import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { Ed25519Signer } from "./ed25519-signer.ts";

/** Bytes of DER before the seed (RFC 8410, section 7). */
const PKCS8_PREFIX_BYTES = 16;

/** One key for everything that the device signs and for its name in the mesh. */
export interface IdentityKey {
  readonly signer: Ed25519Signer;
  /** The same key as libp2p wants it. */
  readonly privateKey: PrivateKey;
}

/** @returns a new Ed25519 key as PKCS #8 in PEM, which OpenSSL reads too. */
export function generateIdentityPem(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/** @throws Error when the text holds no Ed25519 key */
export function identityKeyFrom(pem: string): IdentityKey {
  const signer = new Ed25519Signer(pem);
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  const seed = der.subarray(PKCS8_PREFIX_BYTES, PKCS8_PREFIX_BYTES + 32);
  return { signer, privateKey: privateKeyFromRaw(Buffer.concat([seed, signer.publicKey])) };
}
