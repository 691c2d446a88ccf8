const SHOWN_MAX = 4_096;
const strict = new TextDecoder("utf-8", { fatal: true });

/** Bytes as they stand in JSON; see the schema `Payload`. */
export interface ShownBytes {
  readonly encoding: "utf-8" | "base64";
  readonly data: string;
  readonly bytes: number;
  readonly truncated: boolean;
}

/** @returns the bytes as text where they are UTF-8, as base64 where not, cut at 4,096 bytes. */
export function showBytes(payload: Uint8Array): ShownBytes {
  const truncated = payload.length > SHOWN_MAX;
  const rest = { bytes: payload.length, truncated };
  try {
    return { encoding: "utf-8", data: strict.decode(cut(payload)), ...rest };
  } catch {
    const data = Buffer.from(payload.subarray(0, SHOWN_MAX)).toString("base64");
    return { encoding: "base64", data, ...rest };
  }
}

/** Cuts before a character that would not fit whole: continuation bytes are 10xxxxxx (RFC 3629). */
function cut(payload: Uint8Array): Uint8Array {
  if (payload.length <= SHOWN_MAX) return payload;
  let end = SHOWN_MAX;
  while (end > SHOWN_MAX - 4 && ((payload[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return payload.subarray(0, end);
}
