import { readFile, stat } from "node:fs/promises";

/** Largest file of samples. */
const DATA_FILE_BYTES_MAX = 1_073_741_824;

/** @returns the whole of a file of samples @throws Error when it can not be read, or has more than 1 GiB */
export async function readDataFile(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > DATA_FILE_BYTES_MAX)
    throw new Error(`${path} has ${size} bytes, ${DATA_FILE_BYTES_MAX} at most`);
  return readFile(path);
}
