import { closest } from "fastest-levenshtein";
import { ConfigError } from "../../config/resolve.ts";
import { bytes, print, printJson, printTable } from "../output.ts";
import { type KnownDataset, knownDatasets } from "./dataset-catalogue.ts";
import { datasetDirectory, datasetFile, isFetched, loadDataset } from "./dataset-directory.ts";
import { fetchDataset } from "./fetch-dataset.ts";

/** What `learn data fetch` was asked for. */
export interface FetchOptions {
  readonly into?: string;
  readonly again?: true;
  readonly json?: true;
}

/** Prints what can be fetched. */
export function listDatasets({
  into,
  json,
}: {
  readonly into?: string;
  readonly json?: true;
}): void {
  const directory = datasetDirectory(into);
  const items = knownDatasets.map((known) => ({
    name: known.name,
    about: known.about,
    source: `${known.source.kind} ${known.source.name}`,
    licence: known.licence,
    downloadBytes: known.downloadBytes,
    file: isFetched(directory, known) ? datasetFile(directory, known) : null,
  }));
  if (json === true) return printJson({ directory, items });
  printTable(
    ["Name", "What", "Source", "Licence", "Download", "Here"],
    items.map((item) => [
      item.name,
      item.about,
      item.source,
      item.licence,
      bytes(item.downloadBytes),
      item.file === null ? "no" : "yes",
    ]),
    "none",
  );
}

/** @throws ConfigError for a name that nobody knows; FetchError */
export async function fetchDatasets(
  names: readonly string[],
  options: FetchOptions,
): Promise<void> {
  const directory = datasetDirectory(options.into);
  const wanted = names.includes("all") ? knownDatasets : names.map(named);
  const done = [];
  for (const known of wanted) {
    const tell = (text: string): void => {
      if (options.json !== true) process.stderr.write(`${text}\n`);
    };
    if (options.again !== true && (await isWhole(directory, known))) {
      tell(`${known.name}: is here already; --again brings it anew`);
      done.push({ name: known.name, file: datasetFile(directory, known), fetched: false });
      continue;
    }
    const { file } = await fetchDataset(known, directory, tell);
    done.push({ name: known.name, file, fetched: true });
    if (options.json !== true) print(`${known.name}: ${file} (${known.licence})`);
  }
  if (options.json === true) printJson({ directory, items: done });
}

async function isWhole(directory: string, known: KnownDataset): Promise<boolean> {
  try {
    await loadDataset(directory, known);
    return true;
  } catch {
    return false;
  }
}

function named(name: string): KnownDataset {
  const known = knownDatasets.find((each) => each.name === name);
  if (known !== undefined) return known;
  const names = knownDatasets.map((each) => each.name);
  throw new ConfigError("learn data fetch", [
    `${name} is not known; did you mean ${closest(name, names)}? There are ${names.join(", ")}`,
  ]);
}
