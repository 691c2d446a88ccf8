/** First line of a private network's key file (libp2p specification "Private Networks"). */
const HEADER = "/key/swarm/psk/1.0.0/";
const KEY_CHARACTERS = 64;

/**
 * @param bytes of a file as other libp2p implementations write it: three lines, the last one 64 hexadecimal digits
 * @returns the file in the one form that the protector takes
 * @throws Error in words that name the setting
 */
export function parseNetworkKey(bytes: Uint8Array): Uint8Array {
  const [header, encoding, key = ""] = Buffer.from(bytes).toString("latin1").trim().split(/\r?\n/);
  if (
    header?.trim() !== HEADER ||
    encoding?.trim() !== "/base16/" ||
    key.trim().length !== KEY_CHARACTERS ||
    !/^[0-9a-f]+$/i.test(key.trim())
  )
    throw new Error(
      `mesh.networkKeyFile must hold three lines: ${HEADER}, /base16/, and ${KEY_CHARACTERS} hexadecimal digits; make one with \`agent-mesh mesh network-key\``,
    );
  return Buffer.from(`${HEADER}\n/base16/\n${key.trim().toLowerCase()}\n`, "latin1");
}
