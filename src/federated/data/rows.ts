/**
 * @param table `count` rows of one width, one after the other
 * @returns the rows at these places, in their order, in memory of their own
 */
export function rowsAt<Table extends Float32Array | Int32Array>(
  table: Table,
  count: number,
  places: ArrayLike<number>,
): Table {
  const width = count === 0 ? 0 : table.length / count;
  const make = table.constructor as new (length: number) => Table;
  const rows = new make(places.length * width);
  for (let at = 0; at < places.length; at++) {
    const from = (places[at] ?? 0) * width;
    rows.set(table.subarray(from, from + width), at * width);
  }
  return rows;
}
