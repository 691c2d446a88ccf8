import { SeededRandom } from "../platform/seeded-random.ts";
import type { PeerId, Signer } from "../platform/signer.ts";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** Identity multihash of a protobuf-encoded Ed25519 key, which follows (libp2p specification, "Peer Ids and Keys"). */
const PREFIX = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
const KEY_BYTES = 32;
const LANES = 16;

/**
 * The keys of a simulated world. A signature is a hash over the key's secret, which only this object has, so agents can
 * no more forge one than with real keys, at a fraction of the cost. No cryptography: never for a real device.
 */
export class VirtualKeys {
  readonly #secrets = new Map<string, string>();
  /** Of identities that are there: the way from one to the other is long. */
  readonly #peers = new Map<string, PeerId>();
  readonly #publicKeys = new Map<PeerId, Uint8Array>();

  /** @returns the signer of one identity; the same seed gives the same key */
  signer(seed: string): Signer {
    const publicKey = new SeededRandom(`${seed}/public`).bytes(KEY_BYTES);
    const secret = latin1(new SeededRandom(`${seed}/secret`).bytes(KEY_BYTES));
    this.#secrets.set(latin1(publicKey), secret);
    const peerId = peerIdOf(publicKey);
    this.#peers.set(latin1(publicKey), peerId);
    this.#publicKeys.set(peerId, publicKey);
    return {
      peerId,
      publicKey,
      sign: (purpose, bytes) => signatureOf(secret, purpose, bytes),
      verify: (key, purpose, bytes, signature) => this.#verify(key, purpose, bytes, signature),
      peerIdOf: (key) => this.#peers.get(latin1(key)) ?? peerIdOf(key),
      publicKeyOf: (peer) => this.#publicKeys.get(peer)?.slice() ?? publicKeyOf(peer),
    };
  }

  #verify(key: Uint8Array, purpose: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    const secret = this.#secrets.get(latin1(key));
    if (secret === undefined) return false;
    const right = signatureOf(secret, purpose, bytes);
    return signature.length === right.length && right.every((byte, at) => byte === signature[at]);
  }
}

/** 64 bytes that depend on every byte of the input. */
function signatureOf(secret: string, purpose: string, bytes: Uint8Array): Uint8Array {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  const mix = (byte: number): void => {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte ^ (a >>> 13), 0x85ebca6b);
    b ^= b >>> 15;
  };
  for (const text of [secret, purpose]) {
    for (let at = 0; at < text.length; at++) mix(text.charCodeAt(at));
    mix(0);
  }
  for (const byte of bytes) mix(byte);
  const signature = new DataView(new ArrayBuffer(4 * LANES));
  for (let lane = 0; lane < LANES; lane++) {
    mix(lane);
    signature.setUint32(4 * lane, (a ^ b) >>> 0);
  }
  return new Uint8Array(signature.buffer);
}

function peerIdOf(publicKey: Uint8Array): PeerId {
  if (publicKey.length !== KEY_BYTES)
    throw new RangeError(`a key has ${KEY_BYTES} bytes, not ${publicKey.length}`);
  // Base58: 38 bytes as a number, in digits of 58. The leading zero byte becomes a leading "1".
  const digits: number[] = [];
  for (const byte of [...PREFIX, ...publicKey]) {
    let carry = byte;
    for (let at = 0; at < digits.length; at++) {
      carry += (digits[at] ?? 0) * 256;
      digits[at] = carry % 58;
      carry = Math.floor(carry / 58);
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58);
  }
  return `1${digits
    .reverse()
    .map((digit) => ALPHABET[digit] ?? "")
    .join("")}`;
}

function publicKeyOf(peerId: PeerId): Uint8Array | undefined {
  let value = 0n;
  for (const letter of peerId) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) return undefined;
    value = value * 58n + BigInt(digit);
  }
  const bytes = new Uint8Array(PREFIX.length + KEY_BYTES);
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(value & 0xffn);
    value >>= 8n;
  }
  const key = bytes.slice(PREFIX.length);
  return value === 0n && peerIdOf(key) === peerId ? key : undefined;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
