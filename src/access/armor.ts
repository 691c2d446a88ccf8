/** What can be carried by hand. */
export type ArmorLabel = "AGENT MESH GRANT" | "AGENT MESH REVOCATIONS";

const LINE = 64;
const TEXT_CHARACTERS_MAX = 65_536;
const FORM =
  /^-----BEGIN (AGENT MESH GRANT|AGENT MESH REVOCATIONS)-----\s([A-Za-z0-9+/=\s]*)-----END \1-----$/;
const BARE = /^[A-Za-z0-9_-]+$/;

/** @returns the bytes as text for mail and terminals (RFC 7468 section 3). */
export function armor(label: ArmorLabel, bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("base64");
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += LINE) lines.push(text.slice(at, at + LINE));
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/**
 * @param text as {@link armor} makes it, whatever became of its line ends; or one word of base64url, a grant then
 * @returns undefined when it is neither
 */
export function dearmor(
  text: string,
): { readonly label: ArmorLabel; readonly bytes: Uint8Array } | undefined {
  if (text.length > TEXT_CHARACTERS_MAX) return undefined;
  const trimmed = text.trim();
  if (BARE.test(trimmed))
    return { label: "AGENT MESH GRANT", bytes: Buffer.from(trimmed, "base64url") };
  const [, label, body] = FORM.exec(trimmed) ?? [];
  if (label === undefined || body === undefined) return undefined;
  return {
    label: label as ArmorLabel,
    bytes: Buffer.from(body.replaceAll(/\s/g, ""), "base64"),
  };
}
