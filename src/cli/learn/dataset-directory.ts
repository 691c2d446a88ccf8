import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../federated/data/data-error.ts";
import type { Dataset } from "../../federated/data/dataset.ts";
import { decodeDataset, decompressDataset } from "../../federated/data/dataset-file.ts";
import type { KnownDataset } from "./dataset-catalogue.ts";

/** @returns where datasets lie unless a directory is named: with the user's other caches */
export function datasetDirectory(named?: string): string {
  if (named !== undefined) return named;
  const { XDG_CACHE_HOME } = process.env;
  const caches =
    XDG_CACHE_HOME === undefined || XDG_CACHE_HOME === ""
      ? join(homedir(), ".cache")
      : XDG_CACHE_HOME;
  return join(caches, "agent-mesh/datasets");
}

/** @returns the file of a dataset in such a directory */
export function datasetFile(directory: string, { name }: KnownDataset): string {
  return join(directory, `${name}.dataset`);
}

/** Whether it has been fetched; not whether it is whole. */
export function isFetched(directory: string, known: KnownDataset): boolean {
  return existsSync(datasetFile(directory, known));
}

/** @throws DataError when it is not there, with the command that brings it, or not what it should be */
export async function loadDataset(directory: string, known: KnownDataset): Promise<Dataset> {
  const file = datasetFile(directory, known);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const into = directory === datasetDirectory() ? "" : ` --into ${directory}`;
    throw new DataError(
      "data.setting",
      `${known.name} is not in ${directory}: run 'agent-mesh learn data fetch ${known.name}${into}'`,
      { cause: error },
    );
  }
  const encoded = decompressDataset(bytes);
  if (sha256(encoded) !== known.sha256)
    throw new DataError(
      "data.format",
      `${file} is damaged: run 'agent-mesh learn data fetch ${known.name} --again'`,
    );
  return decodeDataset(encoded);
}

/** @returns in hexadecimal digits */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
