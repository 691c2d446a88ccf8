import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import type { PeerId, Signer } from "../signer.ts";
import { KEY_BYTES, peerIdOf, publicKeyOf, SIGNATURE_BYTES, signedBytes } from "./ed25519-names.ts";

/** DER before a raw key (RFC 8410, section 4): SubjectPublicKeyInfo of id-Ed25519. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const PUBLIC_KEYS_MAX = 256;
/** A learning round of eight agents has some 200 signatures, most of which come to an agent several times. */
const GENUINE_MAX = 2_048;

/** The identity key in Node's own Ed25519, which takes a third of the time of an implementation in JavaScript. */
export class Ed25519Signer implements Signer {
  readonly peerId: PeerId;
  readonly publicKey: Uint8Array;
  readonly peerIdOf = peerIdOf;
  readonly publicKeyOf = publicKeyOf;
  readonly #privateKey: KeyObject;
  /** Parsing a key takes as long as half a verification, and few neighbours send most of the records. */
  readonly #publicKeys = new Map<string, KeyObject>();
  /** SHA-256 of keys, signatures and what they were found to sign: a hash takes a hundredth of the time that a verification does. */
  readonly #genuine = new Set<string>();

  /** @param pem PKCS #8 @throws Error when it holds no Ed25519 key */
  constructor(pem: string) {
    this.#privateKey = createPrivateKey(pem);
    if (this.#privateKey.asymmetricKeyType !== "ed25519")
      throw new Error(`the key is ${this.#privateKey.asymmetricKeyType}, not Ed25519`);
    const der = createPublicKey(this.#privateKey).export({ format: "der", type: "spki" });
    this.publicKey = Uint8Array.from(der.subarray(SPKI_PREFIX.length));
    this.peerId = peerIdOf(this.publicKey);
  }

  sign(purpose: string, bytes: Uint8Array): Uint8Array {
    return sign(null, signedBytes(purpose, bytes), this.#privateKey);
  }

  verify(
    publicKey: Uint8Array,
    purpose: string,
    bytes: Uint8Array,
    signature: Uint8Array,
  ): boolean {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    const signed = signedBytes(purpose, bytes);
    // Key and signature have one length each, so that nothing else has the same bytes.
    const hash = createHash("sha256").update(publicKey).update(signature).update(signed);
    const name = hash.digest("base64");
    if (this.#genuine.has(name)) return true;
    try {
      if (!verify(null, signed, this.#parsed(publicKey), signature)) return false;
    } catch {
      // A point that is not on the curve is refused while parsing: no key, so no signature of it.
      return false;
    }
    for (const oldest of this.#genuine) {
      if (this.#genuine.size < GENUINE_MAX) break;
      this.#genuine.delete(oldest);
    }
    this.#genuine.add(name);
    return true;
  }

  #parsed(publicKey: Uint8Array): KeyObject {
    const name = Buffer.from(publicKey).toString("latin1");
    let key = this.#publicKeys.get(name);
    if (key === undefined) {
      key = createPublicKey({
        key: Buffer.concat([SPKI_PREFIX, publicKey]),
        format: "der",
        type: "spki",
      });
      for (const oldest of this.#publicKeys.keys()) {
        if (this.#publicKeys.size < PUBLIC_KEYS_MAX) break;
        this.#publicKeys.delete(oldest);
      }
      this.#publicKeys.set(name, key);
    }
    return key;
  }
}
