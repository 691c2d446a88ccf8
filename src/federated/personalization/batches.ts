import type { Random } from "../../platform/random.ts";
import type { Samples } from "../../platform/training-backend.ts";

/** @returns the samples at these places, in their order, in memory of their own */
export function batchAt(samples: Samples, places: ArrayLike<number>): Samples {
  return {
    count: places.length,
    features: rowsAt(samples.features, samples.count, places, Float32Array),
    targets:
      samples.targets instanceof Int32Array
        ? rowsAt(samples.targets, samples.count, places, Int32Array)
        : rowsAt(samples.targets, samples.count, places, Float32Array),
  };
}

/** @returns `size` places among `count`, drawn with replacement */
export function drawPlaces(count: number, size: number, random: Random): Int32Array {
  return Int32Array.from({ length: size }, () => Math.floor(random.next() * count));
}

function rowsAt<Table extends Float32Array | Int32Array>(
  table: Table,
  count: number,
  places: ArrayLike<number>,
  make: new (length: number) => Table,
): Table {
  const width = count === 0 ? 0 : table.length / count;
  const rows = new make(places.length * width);
  for (let at = 0; at < places.length; at++) {
    const from = (places[at] ?? 0) * width;
    rows.set(table.subarray(from, from + width), at * width);
  }
  return rows;
}
