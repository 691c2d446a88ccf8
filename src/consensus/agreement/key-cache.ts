import { toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";

/** Keys and names that are known at a time: those of several lists of members. */
const KNOWN_MAX = 512;

/** Checks signatures, and names keys: a name is worked out once, since the same few members speak all the time. */
export class KeyCache implements Pick<Signer, "verify" | "peerIdOf" | "publicKeyOf"> {
  readonly #signer: Pick<Signer, "verify" | "peerIdOf" | "publicKeyOf">;
  readonly #names = new Map<string, PeerId>();
  readonly #keys = new Map<PeerId, Uint8Array>();

  constructor(signer: Pick<Signer, "verify" | "peerIdOf" | "publicKeyOf">) {
    this.#signer = signer;
  }

  verify(key: Uint8Array, purpose: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    return this.#signer.verify(key, purpose, bytes, signature);
  }

  peerIdOf(publicKey: Uint8Array): PeerId {
    const digits = toHex(publicKey);
    const known = this.#names.get(digits);
    if (known !== undefined) return known;
    const name = this.#signer.peerIdOf(publicKey);
    keep(this.#names, digits, name);
    return name;
  }

  publicKeyOf(peerId: PeerId): Uint8Array | undefined {
    const known = this.#keys.get(peerId);
    if (known !== undefined) return known;
    const key = this.#signer.publicKeyOf(peerId);
    if (key !== undefined) keep(this.#keys, peerId, key);
    return key;
  }
}

/** Strangers come and go: when there are too many, all are worked out anew. */
function keep<T>(known: Map<string, T>, key: string, value: T): void {
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(key, value);
}
