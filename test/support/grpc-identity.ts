import { createPrivateKey, createPublicKey, hash, sign, verify } from "node:crypto";
import type { Signer } from "../../src/platform/signer.ts";
import { type DeviceKey, privateKeyPem } from "../../src/platform/x509/device-key.ts";

const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");
const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** A device of a test's own: its key, and what signs with it. */
export interface TestIdentity {
  readonly key: DeviceKey;
  readonly signer: Signer;
}

/** @returns the same for the same name */
export function identity(name: string): TestIdentity {
  const seed = new Uint8Array(hash("sha256", name, "buffer"));
  const privateKey = createPrivateKey(privateKeyPem({ seed }));
  const publicKey = createPublicKey(privateKey)
    .export({ format: "der", type: "spki" })
    .subarray(12);
  const text = (purpose: string, bytes: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`${purpose}\0`), bytes]);
  const signer: Signer = {
    peerId: peerIdOf(publicKey),
    publicKey: new Uint8Array(publicKey),
    sign: (purpose, bytes) => new Uint8Array(sign(null, text(purpose, bytes), privateKey)),
    verify(key, purpose, bytes, signature) {
      if (key.length !== 32 || signature.length !== 64) return false;
      const der = Buffer.concat([SPKI_HEAD, key]);
      const spki = createPublicKey({ key: der, format: "der", type: "spki" });
      return verify(null, text(purpose, bytes), spki, signature);
    },
    peerIdOf,
    publicKeyOf: () => undefined,
  };
  return { key: { seed, publicKey: signer.publicKey }, signer };
}

/** An identity multihash of the key's protobuf form, in base 58: libp2p, "Peer Ids and Keys". */
function peerIdOf(publicKey: Uint8Array): string {
  if (publicKey.length !== 32) throw new RangeError("an Ed25519 key has 32 bytes");
  let number = BigInt(`0x${Buffer.from([0, 36, 8, 1, 18, 32, ...publicKey]).toString("hex")}`);
  let name = "";
  for (; number > 0n; number /= 58n) name = `${ALPHABET[Number(number % 58n)]}${name}`;
  return `1${name}`;
}
