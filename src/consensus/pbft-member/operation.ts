import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "../pbft/bytes.ts";

/** Names a value for ever, so that one that is put in again is applied once. */
export const VALUE_ID_BYTES = 16;
/** Longest name of a member. */
export const PEER_BYTES_MAX = 128;

/** One member more, or one less. */
export interface GroupStep {
  readonly kind: "add" | "remove";
  readonly peer: PeerId;
}

/** What a member puts into the order. */
export type Entry =
  | { readonly kind: "value"; readonly value: Uint8Array; readonly bytes: Uint8Array }
  /** `bytes`: with id, as it travels. */
  | { readonly kind: "change"; readonly step: GroupStep; readonly bytes: Uint8Array };

const CODES = { value: 0, add: 1, remove: 2 } as const;
const ENTRY_HEAD_BYTES = 1 + VALUE_ID_BYTES + 4;
const KEY_DIGITS = 32;

/** @returns a value to be put into the order @param id {@link VALUE_ID_BYTES} of them */
export function valueEntry(id: Uint8Array, value: Uint8Array): Entry {
  const writer = new ByteWriter(ENTRY_HEAD_BYTES + value.length);
  return { kind: "value", value, bytes: writer.u8(CODES.value).raw(id).sized(value).finish() };
}

/** @returns a change of members to be put into the order @param id {@link VALUE_ID_BYTES} of them */
export function changeEntry(id: Uint8Array, step: GroupStep): Entry {
  const writer = new ByteWriter(ENTRY_HEAD_BYTES + PEER_BYTES_MAX);
  const bytes = writer.u8(CODES[step.kind]).raw(id).text(step.peer).finish();
  return { kind: "change", step, bytes };
}

/**
 * By what an entry is known again: its id together with what it says. A member that lies can not use the id of another one's
 * value for something else, to have that value taken for a repetition.
 */
export function keyOf({ bytes }: Entry, hasher: Hasher): string {
  return hasher.sha256Hex(bytes).slice(0, KEY_DIGITS);
}

/** @returns the operation of a request: entries one after the other; without any it asks for nothing but a place in the order */
export function encodeOperation(entries: readonly Entry[]): Uint8Array {
  let length = 4;
  for (const { bytes } of entries) length += bytes.length;
  const writer = new ByteWriter(length).u32(entries.length);
  for (const { bytes } of entries) writer.raw(bytes);
  return writer.finish();
}

/** @returns undefined when the bytes are no operation; never throws */
export function decodeOperation(bytes: Uint8Array): readonly Entry[] | undefined {
  return decodeAll(bytes, (reader) => {
    const count = reader.count(Math.floor(bytes.length / ENTRY_HEAD_BYTES));
    const entries: Entry[] = [];
    while (entries.length < count) entries.push(readEntry(reader, bytes));
    return entries;
  });
}

function readEntry(reader: ByteReader, operation: Uint8Array): Entry {
  const from = reader.position;
  const code = reader.u8();
  reader.raw(VALUE_ID_BYTES);
  const body = reader.sized(code === CODES.value ? operation.length : PEER_BYTES_MAX);
  const bytes = operation.subarray(from, reader.position);
  if (code === CODES.value) return { kind: "value", value: body, bytes };
  if (code !== CODES.add && code !== CODES.remove) throw new MalformedError("no such entry");
  const peer = new TextDecoder().decode(body);
  return { kind: "change", step: { kind: code === CODES.add ? "add" : "remove", peer }, bytes };
}
