/**
 * Undoes Snappy (google/snappy, format_description.txt).
 * @throws RangeError when the bytes are no such thing
 */
export function unsnappy(input: Buffer): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = input.readUInt8(at++);
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  // No block of a table is anywhere near as large.
  if (length > 64 * 1024 * 1024) throw new RangeError(`${length} bytes are too many`);
  const output = Buffer.alloc(length);
  let end = 0;
  while (at < input.length) {
    const tag = input.readUInt8(at++);
    if ((tag & 3) === 0) {
      let size = (tag >> 2) + 1;
      if (size > 60) {
        const bytes = size - 60;
        size = input.readUIntLE(at, bytes) + 1;
        at += bytes;
      }
      if (at + size > input.length || end + size > length) throw new RangeError("literal too long");
      input.copy(output, end, at, at + size);
      at += size;
      end += size;
      continue;
    }
    let size = (tag >> 2) + 1;
    let offset: number;
    if ((tag & 3) === 1) {
      size = ((tag >> 2) & 7) + 4;
      offset = ((tag >> 5) << 8) | input.readUInt8(at++);
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4;
      offset = input.readUIntLE(at, bytes);
      at += bytes;
    }
    if (offset === 0 || offset > end || end + size > length)
      throw new RangeError("copy out of range");
    // A copy may reach into what it writes: that is how runs are told.
    for (let n = 0; n < size; n++) output[end + n] = output[end + n - offset] ?? 0;
    end += size;
  }
  if (end !== length) throw new RangeError("ends too early");
  return output;
}
