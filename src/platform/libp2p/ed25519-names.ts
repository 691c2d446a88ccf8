import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id";
import type { PeerId } from "../signer.ts";

/** Length of a raw key and of a seed (RFC 8032, section 5.1). */
export const KEY_BYTES = 32;
/** Length of a signature (RFC 8032, section 5.1). */
export const SIGNATURE_BYTES = 64;

/** @see Signer.peerIdOf @throws RangeError when the key does not have 32 bytes */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  if (publicKey.length !== KEY_BYTES)
    throw new RangeError(`an Ed25519 key has ${KEY_BYTES} bytes, not ${publicKey.length}`);
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString();
}

/** @returns the raw key that the name stands for; undefined when it is none of an Ed25519 key */
export function publicKeyOf(peerId: PeerId): Uint8Array | undefined {
  try {
    const parsed = peerIdFromString(peerId);
    return parsed.type === "Ed25519" ? parsed.publicKey.raw : undefined;
  } catch {
    return undefined;
  }
}

/** @returns what is signed: the purpose, a zero byte, and the bytes */
export function signedBytes(purpose: string, bytes: Uint8Array): Uint8Array {
  const prefix = new TextEncoder().encode(purpose);
  const whole = new Uint8Array(prefix.length + 1 + bytes.length);
  whole.set(prefix);
  whole.set(bytes, prefix.length + 1);
  return whole;
}
