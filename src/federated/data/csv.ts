import { DataError } from "./data-error.ts";
import type { Column } from "./data-frame.ts";

const BYTES_MAX = 256 * 1024 * 1024;
const COLUMNS_MAX = 10_000;
const LEVELS_MAX = 100_000;

/**
 * Reads comma-separated values (RFC 4180) with a line of names first. A column whose every value is a number is one of
 * numbers; any other, and those in `factors`, is a factor with its levels in the order of their first appearance.
 *
 * @param factors names of columns that are factors even if they look like numbers, such as classes 0 to 9
 * @throws DataError `data.format` naming line and column; `data.too-large`
 */
export function readCsv(text: string, factors: readonly string[] = []): readonly Column[] {
  if (text.length > BYTES_MAX)
    throw new DataError("data.too-large", `CSV: ${text.length} characters, ${BYTES_MAX} at most`);
  const { rows, lines } = parse(text.replace(/^\uFEFF/, ""));
  const [names, ...records] = rows;
  if (names === undefined || records.length === 0)
    throw new DataError("data.format", "CSV: a line of names and at least one of values");
  if (names.length > COLUMNS_MAX)
    throw new DataError("data.too-large", `CSV: ${names.length} columns, ${COLUMNS_MAX} at most`);
  if (new Set(names).size !== names.length)
    throw new DataError("data.format", "CSV: two columns have the same name");
  const unknown = factors.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new DataError(
      "data.setting",
      `CSV: there is no column ${unknown}, only ${names.slice(0, 12).join(", ")}`,
    );
  for (const [at, record] of records.entries())
    if (record.length !== names.length)
      throw new DataError(
        "data.format",
        `CSV, line ${lines[at + 1]}: ${record.length} values, ${names.length} columns`,
      );
  return names.map((name, at) => {
    const cells = records.map((record) => record[at] ?? "");
    const column = factors.includes(name) ? undefined : numbers(name, cells);
    return column ?? factor(name, cells);
  });
}

function numbers(name: string, cells: readonly string[]): Column | undefined {
  const values = new Float64Array(cells.length);
  for (const [at, cell] of cells.entries()) {
    const value = cell.trim() === "" ? Number.NaN : Number(cell);
    if (!Number.isFinite(value)) return undefined;
    values[at] = value;
  }
  return { name, values };
}

function factor(name: string, cells: readonly string[]): Column {
  const places = new Map<string, number>();
  const values = new Float64Array(cells.length);
  for (const [at, cell] of cells.entries()) {
    let place = places.get(cell);
    if (place === undefined) {
      place = places.size;
      if (place >= LEVELS_MAX)
        throw new DataError("data.too-large", `CSV: ${name} has more than ${LEVELS_MAX} values`);
      places.set(cell, place);
    }
    values[at] = place;
  }
  return { name, values, levels: [...places.keys()] };
}

/** @returns rows of cells, and the line where each begins */
function parse(text: string): { readonly rows: string[][]; readonly lines: number[] } {
  const rows: string[][] = [];
  const lines: number[] = [];
  let row: string[] = [];
  let line = 1;
  let startLine = 1;
  let at = 0;
  const endRow = (): void => {
    const isBlank = row.length === 1 && row[0] === "";
    if (!isBlank) {
      rows.push(row);
      lines.push(startLine);
    }
    row = [];
    line++;
    startLine = line;
  };
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      const end = closingQuote(text, at + 1, line);
      cell = text.slice(at + 1, end).replaceAll('""', '"');
      line += cell.split("\n").length - 1;
      at = end + 1;
      if (at < text.length && !",\r\n".includes(text[at] ?? ""))
        throw new DataError("data.format", `CSV, line ${line}: text behind a closing quote`);
    } else {
      const from = at;
      while (at < text.length && text[at] !== "," && text[at] !== "\n" && text[at] !== "\r") at++;
      cell = text.slice(from, at);
    }
    row.push(cell);
    if (text[at] === ",") {
      at++;
      if (at === text.length) row.push("");
      continue;
    }
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    endRow();
  }
  if (row.length > 0) endRow();
  return { rows, lines };
}

function closingQuote(text: string, from: number, line: number): number {
  let at = text.indexOf('"', from);
  while (at !== -1 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  if (at === -1) throw new DataError("data.format", `CSV, line ${line}: a quote that never closes`);
  return at;
}
