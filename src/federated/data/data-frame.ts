import { DataError } from "./data-error.ts";
import type { RValue } from "./r-serialization.ts";

/** A column of a table: numbers, or the places of its values among `levels` where it has some (a factor). */
export interface Column {
  readonly name: string;
  readonly values: Float64Array;
  readonly levels?: readonly string[];
}

/** @returns the columns of a data frame of R @throws DataError `data.format` when it is none, or ragged */
export function dataFrame(value: RValue | undefined): readonly Column[] {
  if (value === undefined || value.kind !== "list")
    throw new DataError("data.format", "R data: this is no data frame");
  const names = textsOf(value.attributes.get("names"));
  const columns = value.values.map((column, at): Column => {
    const name = names[at] ?? `column ${at + 1}`;
    if (column.kind !== "numbers")
      throw new DataError("data.format", `R data: ${name} holds neither numbers nor a factor`);
    const levels = textsOf(column.attributes.get("levels"));
    if (levels.length === 0) return { name, values: column.values };
    // R counts from 1.
    return { name, values: column.values.map((place) => place - 1), levels };
  });
  const rows = columns[0]?.values.length ?? 0;
  const ragged = columns.find(({ values }) => values.length !== rows);
  if (ragged !== undefined)
    throw new DataError(
      "data.format",
      `R data: ${ragged.name} has ${ragged.values.length} rows, the others have ${rows}`,
    );
  return columns;
}

function textsOf(value: RValue | undefined): readonly string[] {
  return value?.kind === "texts" ? value.values.map((text) => text ?? "NA") : [];
}
