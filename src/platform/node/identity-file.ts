import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";

/**
 * Reads the device's identity key, made at the first start and kept from then on: whoever has this file is this
 * device, so nobody but its owner may read it.
 * @param generate makes the text of a new key
 * @returns the text @throws Error in words that name the file and what to do about it
 */
export function identityText(file: string, generate: () => string): string {
  try {
    const text = readFileSync(file, "utf8");
    // An empty file is what a power cut may leave of the very first start; there is no identity to lose yet.
    if (text.trim() !== "") {
      if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600);
      return text;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT")
      throw new Error(
        `the identity key ${file} can not be read: ${message}; make it readable for this user, or set mesh.identityFile`,
        { cause: error },
      );
  }
  const text = generate();
  try {
    writeFileSync(`${file}.new`, text, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new Error(
      `the identity key can not be written to ${file}: ${(error as Error).message}; set mesh.identityFile`,
      { cause: error },
    );
  }
  return text;
}
