import type { PeerId } from "../../platform/signer.ts";
import { VALUE_ID_BYTES } from "../ordering/recent-ids.ts";
import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "../pbft/bytes.ts";

/** Longest name of a member. */
export const PEER_BYTES_MAX = 128;

/** One member more, or one less. */
export interface GroupStep {
  readonly kind: "add" | "remove";
  readonly peer: PeerId;
}

/** What a member puts into the order. */
export type Entry =
  | { readonly kind: "value"; readonly id: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: "change"; readonly id: Uint8Array; readonly step: GroupStep };

/** Bytes of an entry beside its value or name. */
export const ENTRY_HEAD_BYTES = 1 + VALUE_ID_BYTES + 4;
const CODES = { value: 0, add: 1, remove: 2 } as const;

/** @returns the operation of a request: entries one after the other; none of them asks for nothing but a place in the order */
export function encodeOperation(entries: readonly Entry[]): Uint8Array {
  let bytes = 4;
  for (const entry of entries) bytes += entryBytes(entry);
  const writer = new ByteWriter(bytes).u32(entries.length);
  for (const entry of entries)
    if (entry.kind === "value") writer.u8(CODES.value).raw(entry.id).sized(entry.value);
    else writer.u8(CODES[entry.step.kind]).raw(entry.id).text(entry.step.peer);
  return writer.finish();
}

/** @returns what an entry takes in an operation, at most */
export function entryBytes(entry: Entry): number {
  const body = entry.kind === "value" ? entry.value.length : PEER_BYTES_MAX;
  return ENTRY_HEAD_BYTES + body;
}

/** @returns undefined when the bytes are no operation; never throws */
export function decodeOperation(bytes: Uint8Array): readonly Entry[] | undefined {
  return decodeAll(bytes, (reader) => {
    const count = reader.count(Math.floor(bytes.length / ENTRY_HEAD_BYTES));
    const entries: Entry[] = [];
    while (entries.length < count) entries.push(readEntry(reader, bytes.length));
    return entries;
  });
}

function readEntry(reader: ByteReader, bytesMax: number): Entry {
  const code = reader.u8();
  const id = reader.raw(VALUE_ID_BYTES);
  if (code === CODES.value) return { kind: "value", id, value: reader.sized(bytesMax) };
  if (code !== CODES.add && code !== CODES.remove) throw new MalformedError("no such entry");
  const kind = code === CODES.add ? "add" : "remove";
  return { kind: "change", id, step: { kind, peer: reader.text(PEER_BYTES_MAX) } };
}
