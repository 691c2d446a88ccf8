import type { TaskSpec } from "./task.ts";

/** Tasks of a batch with what they wait for. */
type Batch = ReadonlyMap<string, Pick<TaskSpec, "after">>;

/** A batch, put in order. */
export interface Sorted {
  /** Each task behind all it waits for. Without those that wait for a circle. */
  readonly order: readonly string[];
  /** Circles: each task waits for the next one, and the last for the first. */
  readonly cycles: readonly (readonly string[])[];
}

/** Puts tasks behind what they wait for (Kahn, "Topological Sorting of Large Networks", 1962). What is not of the batch is ignored. */
export function sorted(batch: Batch): Sorted {
  const waitsFor = new Map<string, number>();
  const waiters = new Map<string, string[]>();
  const order: string[] = [];
  for (const [id, { after }] of batch) {
    const within = [...new Set(after)].filter((other) => batch.has(other));
    if (within.length === 0) order.push(id);
    else waitsFor.set(id, within.length);
    for (const other of within) {
      const list = waiters.get(other);
      if (list === undefined) waiters.set(other, [id]);
      else list.push(id);
    }
  }
  // The order grows while it is walked.
  for (const id of order)
    for (const waiter of waiters.get(id) ?? []) {
      const left = (waitsFor.get(waiter) ?? 1) - 1;
      if (left > 0) waitsFor.set(waiter, left);
      else {
        waitsFor.delete(waiter);
        order.push(waiter);
      }
    }
  return { order, cycles: cyclesOf(batch, waitsFor) };
}

/** Whoever is stuck waits for somebody who is: going from one to the next leads into a circle. Each is passed once. */
function cyclesOf(
  batch: Batch,
  stuck: ReadonlyMap<string, number>,
): readonly (readonly string[])[] {
  const cycles: string[][] = [];
  const passed = new Set<string>();
  for (const start of stuck.keys()) {
    const path: string[] = [];
    const placeOf = new Map<string, number>();
    let id: string | undefined = start;
    while (id !== undefined && !passed.has(id)) {
      passed.add(id);
      placeOf.set(id, path.length);
      path.push(id);
      id = batch.get(id)?.after.find((other) => stuck.has(other));
    }
    const place = id === undefined ? undefined : placeOf.get(id);
    if (place !== undefined) cycles.push(path.slice(place));
  }
  return cycles;
}
