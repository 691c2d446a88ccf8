import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { Ajv } from "ajv";
import type { AuditNote } from "../../src/access/audit-log.ts";
import type { GrantBookParts } from "../../src/access/grants.ts";
import { type MeshAccessOptions, meshAccessOptions } from "../../src/access/mesh-access-options.ts";
import type { EventType } from "../../src/platform/event-sink.ts";
import type { LogFields, Logger } from "../../src/platform/logger.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../src/platform/signer.ts";
import {
  MemoryKeyValueStore,
  type VirtualDisk,
} from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";

const DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** What libp2p puts before an Ed25519 key: identity hash, 36 bytes; key type 1, 32 bytes. */
const KEY_HEADER = "002408011220";
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function base58(hex: string): string {
  let value = BigInt(`0x${hex}`);
  let text = "";
  for (; value > 0n; value /= 58n) text = DIGITS[Number(value % 58n)] + text;
  // The header begins with exactly one zero byte.
  return `1${text}`;
}

function unbase58(text: string): string | undefined {
  let value = 0n;
  for (const digit of text) {
    const at = DIGITS.indexOf(digit);
    if (at < 0) return undefined;
    value = value * 58n + BigInt(at);
  }
  return value.toString(16).padStart(KEY_HEADER.length + 64, "0");
}

/** An identity key made from a name. */
export class TestSigner implements Signer {
  readonly #key: KeyObject;
  readonly peerId: PeerId;
  readonly publicKey: Uint8Array;
  /** Signatures that were checked. */
  verified = 0;

  constructor(name: string) {
    const seed = createHash("sha256").update(name).digest();
    this.#key = createPrivateKey({
      key: Buffer.concat([PKCS8, seed]),
      format: "der",
      type: "pkcs8",
    });
    const spki = createPublicKey(this.#key).export({ format: "der", type: "spki" });
    this.publicKey = Uint8Array.from(spki.subarray(SPKI.length));
    this.peerId = this.peerIdOf(this.publicKey);
  }

  sign(purpose: string, bytes: Uint8Array): Uint8Array {
    return sign(null, Buffer.concat([Buffer.from(`${purpose}\0`), bytes]), this.#key);
  }

  verify(publicKey: Uint8Array, purpose: string, bytes: Uint8Array, signature: Uint8Array) {
    this.verified++;
    try {
      const key = createPublicKey({
        key: Buffer.concat([SPKI, publicKey]),
        format: "der",
        type: "spki",
      });
      return verify(null, Buffer.concat([Buffer.from(`${purpose}\0`), bytes]), key, signature);
    } catch {
      return false;
    }
  }

  peerIdOf(publicKey: Uint8Array): PeerId {
    if (publicKey.length !== 32) throw new RangeError("a key has 32 bytes");
    return base58(KEY_HEADER + Buffer.from(publicKey).toString("hex"));
  }

  publicKeyOf(peerId: PeerId): Uint8Array | undefined {
    if (peerId.length > 60) return undefined;
    const hex = unbase58(peerId);
    if (hex?.length !== KEY_HEADER.length + 64 || !hex.startsWith(KEY_HEADER)) return undefined;
    return Uint8Array.from(Buffer.from(hex.slice(KEY_HEADER.length), "hex"));
  }
}

/** @returns settings with all defaults filled in, as the configuration does it. */
export function accessOptions(given: object = {}): MeshAccessOptions {
  const options = structuredClone(given);
  const validate = new Ajv({ useDefaults: true, strict: false }).compile(meshAccessOptions);
  if (!validate(options)) throw new Error(JSON.stringify(validate.errors));
  return options;
}

/** No two grounds draw the same, as no two starts of a device do. */
let grounds = 0;

/** Everything that access control stands on, with a record of what it tells. */
export function accessGround(name: string, disk?: VirtualDisk, clock = new VirtualClock()) {
  const logged: { level: string; message: string; fields: LogFields }[] = [];
  const events: { type: EventType; data: Readonly<Record<string, unknown>> }[] = [];
  const notes: AuditNote[] = [];
  const log =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void logged.push({ level, message, fields });
  const logger: Logger = {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    child: () => logger,
  };
  const signer = new TestSigner(name);
  const store = new MemoryKeyValueStore(disk);
  const parts: GrantBookParts = {
    store,
    clock,
    random: new SeededRandom(`${name}/${++grounds}`),
    hasher: nodeHasher,
    signer,
    logger,
    events: { emit: (type, data) => void events.push({ type, data }) },
    audit: { note: (note) => void notes.push(note) },
  };
  return { parts, store, clock, signer, logged, events, notes };
}
