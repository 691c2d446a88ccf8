import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  CommitteeFoundingSchema,
  CommitteeProtocol,
} from "../../wire/agent_mesh/v1/committee_pb.ts";
import { GROUP_BYTES } from "../ordering/group-desk.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { membersMin } from "./next-step.ts";

const FOUNDING_PURPOSE = "agent-mesh/committee/founding/1";
/** Of the largest committee. */
export const FOUNDERS_MAX = 64;
const FOUNDING_BYTES_MAX = 4_096;

const PROTOCOLS: Readonly<Record<number, OrderingProtocol>> = {
  [CommitteeProtocol.RAFT]: "raft",
  [CommitteeProtocol.PBFT]: "pbft",
  [CommitteeProtocol.TENDERMINT]: "tendermint",
};
const PROTOCOL_NUMBERS: Readonly<Record<OrderingProtocol, CommitteeProtocol>> = {
  raft: CommitteeProtocol.RAFT,
  pbft: CommitteeProtocol.PBFT,
  tendermint: CommitteeProtocol.TENDERMINT,
};

/** How a committee began. Immutable. */
export interface Founding {
  /** 32 hexadecimal digits, drawn for it alone. */
  readonly group: string;
  readonly protocol: OrderingProtocol;
  /** Sorted by peer id. */
  readonly founders: readonly PeerId[];
  /** The group that it takes the place of. */
  readonly replaces?: string | undefined;
  /** As its founders sign it. */
  readonly bytes: Uint8Array;
}

/** A founder's name under a founding. */
export interface FounderSignature {
  readonly founder: PeerId;
  readonly signature: Uint8Array;
}

/** @throws RangeError when there are too few founders or too many, or one of them twice */
export function makeFounding(
  signer: Signer,
  { group, protocol, founders, replaces }: Omit<Founding, "bytes">,
): Founding {
  const keyOf = (peer: PeerId): Uint8Array => {
    const key = signer.publicKeyOf(peer);
    if (key === undefined) throw new RangeError(`${peer} names no Ed25519 key`);
    return key;
  };
  const bytes = toBinary(
    CommitteeFoundingSchema,
    create(CommitteeFoundingSchema, {
      group: fromHex(group),
      protocol: PROTOCOL_NUMBERS[protocol],
      founders: [...founders].sort().map(keyOf),
      ...(replaces !== undefined && { replaces: fromHex(replaces) }),
    }),
  );
  const made = readFounding(signer, bytes);
  if (made === undefined)
    throw new RangeError(
      `${founders.length} founders are no committee of ${protocol}: it has ${membersMin(protocol)} to ${FOUNDERS_MAX} different ones`,
    );
  return made;
}

/** @returns undefined for bytes that are no founding; never throws */
export function readFounding(signer: Signer, bytes: Uint8Array): Founding | undefined {
  if (bytes.length > FOUNDING_BYTES_MAX) return undefined;
  try {
    const read = fromBinary(CommitteeFoundingSchema, bytes, { readUnknownFields: false });
    const protocol = PROTOCOLS[read.protocol];
    if (protocol === undefined || read.group.length !== GROUP_BYTES) return undefined;
    if (read.replaces.length !== 0 && read.replaces.length !== GROUP_BYTES) return undefined;
    const founders = read.founders.map((key) => signer.peerIdOf(key));
    if (founders.length < membersMin(protocol) || founders.length > FOUNDERS_MAX) return undefined;
    // Sorted, so that a list has one form, and nobody is in it twice.
    if (founders.some((peer, at) => at > 0 && peer <= (founders[at - 1] ?? ""))) return undefined;
    return {
      group: toHex(read.group),
      protocol,
      founders,
      ...(read.replaces.length > 0 && { replaces: toHex(read.replaces) }),
      bytes,
    };
  } catch {
    // What the decoder, or a key of the wrong length, throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Gives one's name to a founding: once in it, a founder never begins anew in the same group. */
export function signFounding(signer: Signer, { bytes }: Founding): Uint8Array {
  return signer.sign(FOUNDING_PURPOSE, bytes);
}

/** @returns whether that founder signed it */
export function isSignedBy(
  signer: Signer,
  { bytes, founders }: Founding,
  { founder, signature }: FounderSignature,
): boolean {
  const key = founders.includes(founder) ? signer.publicKeyOf(founder) : undefined;
  return key !== undefined && signer.verify(key, FOUNDING_PURPOSE, bytes, signature);
}

/**
 * Which of two committees of one fleet stays when they meet: the one that takes the other's place, the one that more have
 * founded, and the smaller group id. Everybody chooses alike, whoever is asked first.
 */
export function isPreferred(one: Founding, other: Founding): boolean {
  if (one.group === other.group) return false;
  if (one.replaces === other.group) return true;
  if (other.replaces === one.group) return false;
  const lead = one.founders.length - other.founders.length;
  return lead !== 0 ? lead > 0 : one.group < other.group;
}
