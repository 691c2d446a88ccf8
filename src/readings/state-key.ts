/**
 * Which state a payload tells of: what `pointer` (JSON Pointer, RFC 6901) finds in it, as text. Without a
 * pointer a topic has one state.
 * @returns undefined where the pointer finds nothing: such an update is never superseded
 */
export function stateKey(payload: Uint8Array, pointer: string | undefined): string | undefined {
  if (pointer === undefined) return "";
  let value: unknown;
  try {
    const { buffer, byteOffset, byteLength } = payload;
    value = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString("utf8"));
  } catch {
    return undefined;
  }
  for (const token of pointer.slice(1).split("/")) {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
