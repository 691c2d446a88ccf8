import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type AgentRecord,
  AgentRecordSchema,
  type Capabilities,
  type CapabilitiesSchema,
  type Health,
  type HealthSchema,
  Occasion,
  type RelayOffer,
  type SignedRecord,
  SignedRecordSchema,
} from "../../wire/agent_mesh/v1/record_pb.ts";
import { fnv1a } from "./fnv1a.ts";
import { compareBytes, type KnownRecord, type RecordVersion } from "./known-record.ts";

const PURPOSE = "agent-mesh/record/1";
/** Largest encoded SignedRecord that is made or taken. */
export const RECORD_BYTES_MAX = 4_096;
/** Largest epoch that is taken, so that a newer one can always be made. */
export const EPOCH_MAX = 0xffff_fffe;

const ADDRESSES_MAX = 16;
const ADDRESS_LENGTH_MAX = 256;
const AGENT_ID_LENGTH_MAX = 128;
const LABEL_LENGTH_MAX = 128;
const LABELS_MAX = 32;
const CORES_MAX = 65_536;
const ROUTE_MAX = 8;
const READ_OPTIONS = { readUnknownFields: false } as const;

/** What an agent tells of itself; version and signature are added when it is signed. */
export interface SelfDescription {
  readonly agentId: string;
  /** Version of the program. */
  readonly version: string;
  readonly addresses: readonly string[];
  readonly capabilities?: MessageInitShape<typeof CapabilitiesSchema>;
  readonly health?: MessageInitShape<typeof HealthSchema>;
}

/** What a record's bytes can be found to be when they are no record. */
export type RecordFault = "malformed-record" | "forged-record";

/**
 * Signs what an agent says of itself.
 * @param occasion why it is made anew
 * @returns an encoded SignedRecord
 * @throws RangeError when something is longer, more or larger than others would take
 */
export function signRecord(
  signer: Signer,
  self: SelfDescription,
  version: RecordVersion,
  leaving: boolean,
  occasion: Occasion = Occasion.UNSPECIFIED,
): Uint8Array {
  const record = create(AgentRecordSchema, {
    publicKey: signer.publicKey,
    epoch: version.epoch,
    sequence: version.sequence,
    agentId: self.agentId,
    version: self.version,
    addresses: [...self.addresses],
    leaving,
    occasion,
    ...(self.capabilities === undefined ? {} : { capabilities: self.capabilities }),
    ...(self.health === undefined ? {} : { health: self.health }),
  });
  const fault = faultOf(record);
  if (fault !== undefined) throw new RangeError(`the agent's record has ${fault}`);
  const bytes = toBinary(AgentRecordSchema, record);
  const signed = toBinary(
    SignedRecordSchema,
    create(SignedRecordSchema, { record: bytes, signature: signer.sign(PURPOSE, bytes) }),
  );
  if (signed.length > RECORD_BYTES_MAX)
    throw new RangeError(`the agent's record has ${signed.length} bytes, ${RECORD_BYTES_MAX} fit`);
  return signed;
}

/** Decodes, checks and verifies a SignedRecord. Never throws. @param bytes are copied */
export function readRecord(signer: Signer, bytes: Uint8Array): KnownRecord | RecordFault {
  if (bytes.length > RECORD_BYTES_MAX) return "malformed-record";
  let record: AgentRecord;
  let signed: SignedRecord;
  let peerId: PeerId;
  try {
    signed = fromBinary(SignedRecordSchema, bytes, READ_OPTIONS);
    // The envelope is not signed. Were there several for one record, whoever passes it on could make ever new ones.
    if (compareBytes(toBinary(SignedRecordSchema, signed), bytes) !== 0) return "malformed-record";
    record = fromBinary(AgentRecordSchema, signed.record, READ_OPTIONS);
    if (faultOf(record) !== undefined) return "malformed-record";
    peerId = signer.peerIdOf(record.publicKey);
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return "malformed-record";
  }
  if (!signer.verify(record.publicKey, PURPOSE, signed.record, signed.signature))
    return "forged-record";
  return Object.freeze({
    peerId,
    agentId: record.agentId,
    version: record.version,
    epoch: record.epoch,
    sequence: record.sequence,
    addresses: Object.freeze(record.addresses),
    capabilities: frozenCapabilities(record.capabilities),
    health: frozenHealth(record.health),
    leaving: record.leaving,
    occasion: record.occasion,
    bytes: bytes.slice(),
    hash: fnv1a(peerId),
  });
}

function frozenCapabilities(capabilities: Capabilities | undefined): Capabilities | undefined {
  if (capabilities === undefined) return undefined;
  Object.freeze(capabilities.uplinks);
  Object.freeze(capabilities.features);
  return Object.freeze(capabilities);
}

function frozenHealth(health: Health | undefined): Health | undefined {
  if (health === undefined) return undefined;
  if (health.relay !== undefined) {
    Object.freeze(health.relay.route);
    Object.freeze(health.relay);
  }
  return Object.freeze(health);
}

function faultOf(record: AgentRecord): string | undefined {
  const { publicKey, epoch, agentId, version, addresses, capabilities, health } = record;
  if (publicKey.length !== 32) return "a key that is none";
  if (epoch > EPOCH_MAX) return "an epoch that leaves no room";
  if (agentId === "" || !isLabel(agentId, AGENT_ID_LENGTH_MAX)) return "no proper agent id";
  if (!isLabel(version, LABEL_LENGTH_MAX)) return "no proper version";
  if (addresses.length > ADDRESSES_MAX) return "too many addresses";
  if (addresses.some((address) => address === "" || !isLabel(address, ADDRESS_LENGTH_MAX)))
    return "an improper address";
  return capabilityFault(capabilities) ?? healthFault(health);
}

function capabilityFault(capabilities: Capabilities | undefined): string | undefined {
  if (capabilities === undefined) return undefined;
  const { architecture, deviceModel, cpuCores, memoryBytes, uplinks, features } = capabilities;
  if (uplinks.length > LABELS_MAX || features.length > LABELS_MAX) return "too many capabilities";
  if (![architecture, deviceModel, ...uplinks, ...features].every((text) => isLabel(text)))
    return "an improper capability";
  if (cpuCores > CORES_MAX || memoryBytes > BigInt(Number.MAX_SAFE_INTEGER))
    return "an impossible capability";
  return undefined;
}

function healthFault(health: Health | undefined): string | undefined {
  if (health === undefined) return undefined;
  if (!isLabel(health.status) || !isLabel(health.powerMode)) return "an improper health";
  const percents = [health.batteryPercent, health.cpuPercent, health.memoryPercent];
  if (percents.some((percent) => percent !== undefined && !(percent >= 0 && percent <= 100)))
    return "a percentage out of range";
  const { temperatureCelsius, queueUpdates = 0n, queueBytes = 0n } = health;
  if (
    temperatureCelsius !== undefined &&
    !(temperatureCelsius >= -274 && temperatureCelsius <= 1_000)
  )
    return "an impossible temperature";
  if ([queueUpdates, queueBytes].some((count) => count > BigInt(Number.MAX_SAFE_INTEGER)))
    return "an impossible queue";
  return relayFault(health.relay);
}

function relayFault(relay: RelayOffer | undefined): string | undefined {
  if (relay === undefined) return undefined;
  if (relay.route.length > ROUTE_MAX || relay.loadPercent > 100) return "an impossible way";
  return relay.route.every((peer) => peer !== "" && isLabel(peer)) ? undefined : "an improper way";
}

/** Text for people and logs: short, and without control characters that could forge a line. */
function isLabel(text: string, lengthMax: number = LABEL_LENGTH_MAX): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.length <= lengthMax && !/[\u0000-\u001f\u007f]/.test(text);
}
