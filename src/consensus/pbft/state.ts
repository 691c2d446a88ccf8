import type { Hasher } from "../../platform/hasher.ts";
import { ByteWriter, DIGEST_BYTES, decodeAll } from "./bytes.ts";
import { ClientTable } from "./client-table.ts";
import type { PbftOptions } from "./options.ts";

/** The state after a checkpoint: the client table and what the application gave, in chunks that can be checked alone. */
export interface Snapshot {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  /** Digests of the chunks, one after the other. */
  readonly manifest: Uint8Array;
  /** SHA-256 of the manifest: what checkpoints are about. */
  readonly digest: string;
}

/** Client table and application state as one. */
export function joinState(table: Uint8Array, application: Uint8Array): Uint8Array {
  const writer = new ByteWriter(8 + table.length + application.length);
  return writer.sized(table).raw(application).finish();
}

/** What a group begins with when it goes on from something: a state of the application, and no client known yet. */
export function genesisSnapshot(
  application: Uint8Array,
  hasher: Hasher,
  options: PbftOptions,
): Snapshot {
  const table = new ClientTable(options).encode();
  return snapshotOf(0, joinState(table, application), hasher, options);
}

/** @returns undefined when the bytes are no state */
export function splitState(
  bytes: Uint8Array,
): { readonly table: Uint8Array; readonly application: Uint8Array } | undefined {
  return decodeAll(bytes, (reader) => ({
    table: reader.sized(bytes.length),
    application: reader.rest(),
  }));
}

/** Takes a state apart into chunks. */
export function snapshotOf(
  sequence: number,
  bytes: Uint8Array,
  hasher: Hasher,
  options: PbftOptions,
): Snapshot {
  const count = Math.ceil(bytes.length / options.chunkBytes);
  const writer = new ByteWriter(count * DIGEST_BYTES);
  for (let index = 0; index < count; index++)
    writer.digest(hasher.sha256Hex(chunkOf(bytes, index, options)));
  const manifest = writer.finish();
  return { sequence, bytes, manifest, digest: hasher.sha256Hex(manifest) };
}

/** @returns one chunk; an empty one beyond the end */
export function chunkOf(bytes: Uint8Array, index: number, { chunkBytes }: PbftOptions): Uint8Array {
  return bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);
}

/** @returns the digests of the chunks, undefined when there are more than a state may have, or it is no manifest */
export function decodeManifest(
  manifest: Uint8Array,
  { stateBytesMax, chunkBytes }: PbftOptions,
): string[] | undefined {
  const count = manifest.length / DIGEST_BYTES;
  if (!Number.isInteger(count) || count > Math.ceil(stateBytesMax / chunkBytes)) return undefined;
  return decodeAll(manifest, (reader) => {
    const digests: string[] = [];
    while (digests.length < count) digests.push(reader.digest());
    return digests;
  });
}
