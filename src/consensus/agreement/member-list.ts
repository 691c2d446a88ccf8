import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  MemberListSchema,
  type MemberList as WireList,
} from "../../wire/agent_mesh/v1/agreement_pb.ts";
import { MEMBERS_MAX } from "./limits.ts";

const KEY_BYTES = 32;

/** Who votes in a group, from one change of members to the next. Immutable. */
export interface MemberList {
  /** 1 for the founders, and one more with each change. */
  readonly epoch: number;
  /** Sorted, each once. */
  readonly members: readonly PeerId[];
}

/** Names and keys of peers. */
export type KeyNames = Pick<Signer, "peerIdOf" | "publicKeyOf">;

/** @returns the raw key of a peer @throws RangeError when it names no Ed25519 key */
export function keyOf(keys: KeyNames, peer: PeerId): Uint8Array {
  const key = keys.publicKeyOf(peer);
  if (key === undefined) throw new RangeError(`${peer} names no Ed25519 key`);
  return key;
}

/** @returns the peer that a raw key names; undefined when it is none; never throws */
export function peerOf(keys: KeyNames, key: Uint8Array): PeerId | undefined {
  return key.length === KEY_BYTES ? keys.peerIdOf(key) : undefined;
}

/** @returns the fields of a MemberList */
export function writeMemberList(
  keys: KeyNames,
  { epoch, members }: MemberList,
): { readonly epoch: bigint; readonly members: Uint8Array[] } {
  return { epoch: BigInt(epoch), members: members.map((peer) => keyOf(keys, peer)) };
}

/** @returns the list; undefined where there can be no such one; never throws */
export function readMemberList(keys: KeyNames, read: WireList): MemberList | undefined {
  if (read.members.length > MEMBERS_MAX) return undefined;
  const members: PeerId[] = [];
  for (const key of read.members) {
    const peer = peerOf(keys, key);
    // Sorted, so that a list has one form, and nobody is in it twice.
    if (peer === undefined || peer <= (members.at(-1) ?? "")) return undefined;
    members.push(peer);
  }
  return { epoch: Number(read.epoch), members };
}

/** @returns the value of a decision on the topic "members" @throws RangeError when a name stands for no key */
export function encodeMemberList(keys: KeyNames, list: MemberList): Uint8Array {
  return toBinary(MemberListSchema, create(MemberListSchema, writeMemberList(keys, list)));
}

/** @returns the list that {@link encodeMemberList} wrote; undefined when it is none; never throws */
export function decodeMemberList(keys: KeyNames, bytes: Uint8Array): MemberList | undefined {
  try {
    return readMemberList(keys, fromBinary(MemberListSchema, bytes, { readUnknownFields: false }));
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}
