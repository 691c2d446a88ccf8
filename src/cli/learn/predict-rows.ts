import { readFile } from "node:fs/promises";
import type { Body } from "../../api/schemas/common.ts";
import type { prediction } from "../../api/schemas/learning.ts";
import { ConfigError } from "../../config/resolve.ts";
import type { RestClient } from "../rest-client.ts";
import { pathOf } from "./find-task.ts";

/** What an agent reads of a request unless it is set otherwise is 64 KiB. */
const BATCH_BYTES_MAX = 60_000;

/** What the model said of rows, in their order. */
export interface Predicted {
  /** That the model came of. */
  readonly round: number;
  /** The agent's own model, or the fleet's. */
  readonly model: "own" | "global";
  /** Where a newer model came on the way: the round of the first row's. */
  readonly firstRound?: number;
  readonly outputs: readonly (readonly number[])[];
  /** Where the task has classes. */
  readonly classes?: readonly number[];
}

/**
 * Runs the newest model on rows, in as many requests as they need.
 * @param rows one at least
 * @param model as the task has it unless given
 * @throws RestError
 */
export async function predictRows(
  client: RestClient,
  task: string,
  rows: readonly (readonly number[])[],
  model?: "own" | "global",
): Promise<Predicted> {
  const said: Body<typeof prediction>[] = [];
  for (const features of batchesOf(rows))
    said.push(
      await client.post(`${pathOf(task)}/predict`, {
        features,
        ...(model !== undefined && { model }),
      }),
    );
  const firstRound = said[0]?.round ?? 0;
  const round = said.at(-1)?.round ?? 0;
  const classes = said.flatMap((part) => part.classes ?? []);
  return {
    round,
    model: said.at(-1)?.model ?? "global",
    ...(firstRound !== round && { firstRound }),
    outputs: said.flatMap(({ outputs }) => outputs),
    ...(classes.length > 0 && { classes }),
  };
}

/**
 * @param file holds JSON, `[[1, 2], [3, 4]]` or one row, or CSV with or without a heading; - for standard input
 * @throws ConfigError naming the line that holds no numbers
 */
export async function readRows(file: string): Promise<readonly (readonly number[])[]> {
  let text: string;
  try {
    text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8");
  } catch (error) {
    throw new ConfigError(file, [(error as Error).message]);
  }
  const rows = /^\s*\[/.test(text) ? rowsOfJson(text, file) : rowsOfCsv(text, file);
  if (rows.length === 0) throw new ConfigError(file, ["it holds no rows"]);
  return rows;
}

function rowsOfJson(text: string, file: string): number[][] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(file, [(error as Error).message]);
  }
  const all = document as unknown[];
  const rows = all.every((value) => typeof value === "number") && all.length > 0 ? [all] : all;
  const wrong = rows.findIndex(
    (row) => !(Array.isArray(row) && row.every((value) => typeof value === "number")),
  );
  if (wrong !== -1) throw new ConfigError(file, [`row ${wrong + 1} is no list of numbers`]);
  return rows as number[][];
}

function rowsOfCsv(text: string, file: string): number[][] {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line, at) => ({ number: at + 1, cells: line.split(/[,;\t]/).map(cellOf), text: line }))
    .filter(({ text }) => text.trim() !== "");
  const [first] = lines;
  const hasHeading = first?.cells.every((cell) => Number.isNaN(cell)) === true;
  return lines.slice(hasHeading ? 1 : 0).map(({ number, cells }) => {
    const wrong = cells.findIndex((cell) => !Number.isFinite(cell));
    if (wrong !== -1)
      throw new ConfigError(file, [`line ${number}: column ${wrong + 1} is no number`]);
    return cells;
  });
}

function cellOf(text: string): number {
  const cell = text.trim().replace(/^"(.*)"$/, "$1");
  return cell === "" ? Number.NaN : Number(cell);
}

function batchesOf(rows: readonly (readonly number[])[]): (readonly number[])[][] {
  const batches: (readonly number[])[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const rowBytes = JSON.stringify(row).length + 1;
    if (bytes + rowBytes > BATCH_BYTES_MAX) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(row);
    bytes += rowBytes;
  }
  return batches;
}
