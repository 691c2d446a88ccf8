import { createHash } from "node:crypto";
import { inflateRawSync } from "node:zlib";

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const STORED = 0;
const DEFLATED = 8;

/** One file of an archive. */
export interface ZipEntry {
  /** Path with `/`, relative and without `..`. */
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Reads an archive as module proxies serve them (APPNOTE.TXT of PKZIP; no encryption, no ZIP64).
 * @throws Error when it is none, or when a name would lead out of the directory it is unpacked in
 */
export function* zipEntries(archive: Buffer): Generator<ZipEntry> {
  let at = Math.max(0, archive.length - END_BYTES);
  const least = Math.max(0, at - COMMENT_BYTES_MAX);
  while (at > least && archive.readUInt32LE(at) !== END_SIGNATURE) at--;
  if (archive.length < END_BYTES || archive.readUInt32LE(at) !== END_SIGNATURE)
    throw new Error("not a ZIP archive");
  const count = archive.readUInt16LE(at + 10);
  at = archive.readUInt32LE(at + 16);
  for (let entry = 0; entry < count; entry++) {
    if (archive.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new Error("a broken ZIP archive");
    const method = archive.readUInt16LE(at + 10);
    const packedBytes = archive.readUInt32LE(at + 20);
    const nameBytes = archive.readUInt16LE(at + 28);
    const beyond = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const local = archive.readUInt32LE(at + 42);
    const name = archive.toString("utf8", at + 46, at + 46 + nameBytes);
    at += 46 + nameBytes + beyond;
    if (name.endsWith("/")) continue;
    if (name.startsWith("/") || name.split("/").includes(".."))
      throw new Error(`a ZIP archive with ${name} in it`);
    if (archive.readUInt32LE(local) !== LOCAL_SIGNATURE) throw new Error("a broken ZIP archive");
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const packed = archive.subarray(start, start + packedBytes);
    if (method !== STORED && method !== DEFLATED) throw new Error(`${name} is packed by ${method}`);
    yield { name, bytes: method === STORED ? packed : inflateRawSync(packed) };
  }
}

/** @returns the sum of a module as `go.sum` has it (`h1:…`, golang.org/x/mod/sumdb/dirhash) */
export function moduleSum(entries: Iterable<ZipEntry>): string {
  const lines = [...entries]
    .map(({ name, bytes }) => ({
      name,
      line: `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const sum = createHash("sha256");
  for (const { line } of lines) sum.update(line);
  return `h1:${sum.digest("base64")}`;
}
