import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import { BallotEntrySchema, type BallotItemSchema } from "../../wire/agent_mesh/v1/agreement_pb.ts";
import type { DecisionSignature } from "./certificate.ts";
import { ENTRY_BYTES_MAX, ID_BYTES, ITEMS_MAX } from "./limits.ts";
import { type KeyNames, keyOf, peerOf } from "./member-list.ts";
import type { SignedWord } from "./word.ts";

const KEY_BYTES = 32;
/** What stands around an item in an entry, at most: field numbers and lengths. */
const ITEM_FRAME_BYTES = 32;

/** A member's name under a decision. */
export interface Voucher extends DecisionSignature {
  readonly proposalId: string;
}

/** What a member puts into the order. */
export type Item =
  | { readonly kind: "word"; readonly signed: SignedWord }
  | { readonly kind: "voucher"; readonly voucher: Voucher };

/** @returns bytes that the item takes in an entry, at most */
export function itemBytes(item: Item): number {
  const { kind } = item;
  if (kind === "voucher")
    return ITEM_FRAME_BYTES + ID_BYTES + KEY_BYTES + item.voucher.signature.length;
  const { word, signature } = item.signed;
  return ITEM_FRAME_BYTES + KEY_BYTES + word.length + signature.length;
}

/** @returns an entry with these items @throws RangeError when a name stands for no key */
export function encodeEntry(keys: KeyNames, items: readonly Item[]): Uint8Array {
  const wire = items.map((item): MessageInitShape<typeof BallotItemSchema> => {
    if (item.kind === "word") return { item: { case: "word", value: item.signed } };
    const { proposalId, signer, signature } = item.voucher;
    const publicKey = keyOf(keys, signer);
    const value = { proposalId: fromHex(proposalId), publicKey, signature };
    return { item: { case: "voucher", value } };
  });
  return toBinary(BallotEntrySchema, create(BallotEntrySchema, { items: wire }));
}

/** @returns its items, undefined in the place of one that is none; undefined for bytes that are no entry; never throws */
export function decodeEntry(
  keys: KeyNames,
  bytes: Uint8Array,
): readonly (Item | undefined)[] | undefined {
  if (bytes.length > ENTRY_BYTES_MAX) return undefined;
  try {
    const { items } = fromBinary(BallotEntrySchema, bytes, { readUnknownFields: false });
    if (items.length === 0 || items.length > ITEMS_MAX) return undefined;
    return items.map(({ item }): Item | undefined => {
      if (item.case === "word") return { kind: "word", signed: item.value };
      if (item.case === undefined) return undefined;
      const { proposalId, publicKey, signature } = item.value;
      const signer = peerOf(keys, publicKey);
      if (signer === undefined || proposalId.length !== ID_BYTES) return undefined;
      const voucher = { proposalId: toHex(proposalId), signer, signature: signature.slice() };
      return { kind: "voucher", voucher };
    });
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}
