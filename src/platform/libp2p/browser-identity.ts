import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { ed25519 } from "@noble/curves/ed25519.js";
import type { PeerId, Signer } from "../signer.ts";
import { KEY_BYTES, peerIdOf, publicKeyOf, SIGNATURE_BYTES, signedBytes } from "./ed25519-names.ts";

/** One key for everything that a node in a browser signs and for its name in the mesh. */
export interface BrowserIdentity {
  readonly signer: Signer;
  /** The same key as libp2p wants it. */
  readonly privateKey: PrivateKey;
}

/** @param seed 32 bytes, kept secret (RFC 8032, section 5.1.5) @throws RangeError when it has another length */
export function browserIdentity(seed: Uint8Array): BrowserIdentity {
  if (seed.length !== KEY_BYTES)
    throw new RangeError(`a seed has ${KEY_BYTES} bytes, not ${seed.length}`);
  const signer = new SoftSigner(seed);
  const raw = new Uint8Array(2 * KEY_BYTES);
  raw.set(seed);
  raw.set(signer.publicKey, KEY_BYTES);
  return { signer, privateKey: privateKeyFromRaw(raw) };
}

/** Ed25519 in JavaScript: a browser's own answers with promises only, and not at all on a page without TLS. */
class SoftSigner implements Signer {
  readonly peerId: PeerId;
  readonly publicKey: Uint8Array;
  readonly peerIdOf = peerIdOf;
  readonly publicKeyOf = publicKeyOf;
  readonly #seed: Uint8Array;

  constructor(seed: Uint8Array) {
    this.#seed = seed.slice();
    this.publicKey = ed25519.getPublicKey(this.#seed);
    this.peerId = peerIdOf(this.publicKey);
  }

  sign(purpose: string, bytes: Uint8Array): Uint8Array {
    return ed25519.sign(signedBytes(purpose, bytes), this.#seed);
  }

  verify(
    publicKey: Uint8Array,
    purpose: string,
    bytes: Uint8Array,
    signature: Uint8Array,
  ): boolean {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    try {
      // As OpenSSL judges, which the agents use: RFC 8032, without what ZIP 215 allows beyond.
      return ed25519.verify(signature, signedBytes(purpose, bytes), publicKey, { zip215: false });
    } catch {
      // A point that is not on the curve is no key, so there is no signature of it.
      return false;
    }
  }
}
