import { existsSync } from "node:fs";
import { join } from "node:path";
import { type FirmwareProfile, parseFirmwareProfile } from "../device/firmware-profile.ts";
import { readYamlDirectory } from "../platform/yaml/read-yaml.ts";

/** Beside the bundle on a device, two floors up in the source tree. */
const shippedDirectories = [
  join(import.meta.dirname, "firmware-profiles"),
  join(import.meta.dirname, "../../firmware-profiles"),
];

/**
 * Reads the shipped profiles and the user's own in `DATA/firmware-profiles`. The user's come first and take
 * the place of a shipped one of the same id.
 *
 * @throws FirmwareProfileError, YamlFileError naming the faulty file
 */
export async function loadFirmwareProfiles(dataDirectory: string): Promise<FirmwareProfile[]> {
  const own = await readProfiles(join(dataDirectory, "firmware-profiles"));
  const shipped = await readProfiles(shippedDirectories.find(existsSync));
  const ownIds = new Set(own.map(({ id }) => id));
  return [...own, ...shipped.filter(({ id }) => !ownIds.has(id))];
}

async function readProfiles(directory: string | undefined): Promise<FirmwareProfile[]> {
  if (directory === undefined) return [];
  const files = await readYamlDirectory(directory);
  return files.map(({ fileName, document }) =>
    parseFirmwareProfile(join(directory, fileName), document),
  );
}
