import { createSecretKey, type KeyObject } from "node:crypto";
import type { ICryptoInterface } from "@libp2p/noise";
import { asCrypto, defaultCrypto, nodeCrypto } from "@libp2p/noise/crypto";

/** From here on OpenSSL takes less time than WebAssembly does. */
const NATIVE_BYTES_MIN = 800;

/**
 * What js-libp2p's Noise encrypts with, but for its keys: Node.js 24 takes three times as long with one that is given as bytes as with
 * one that it has made an object of, once for all messages of a connection.
 */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,
  chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
    return plaintext.byteLength < NATIVE_BYTES_MIN
      ? asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      : nodeCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, objectOf(key));
  },
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into) {
    return ciphertext.byteLength < NATIVE_BYTES_MIN
      ? asCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into)
      : nodeCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, objectOf(key), into);
  },
};

/** By their bytes; a connection keeps those as long as it lasts. */
const objects = new WeakMap<Uint8Array, KeyObject>();

/** It is handed on to `createCipheriv`, which takes either. */
function objectOf(key: Uint8Array): Uint8Array {
  let object = objects.get(key);
  if (object === undefined) {
    object = createSecretKey(key);
    objects.set(key, object);
  }
  return object as KeyObject & Uint8Array;
}
