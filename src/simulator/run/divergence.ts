import {
  CHECKPOINT_EVENTS,
  describeEvent,
  firstDifference,
  Trace,
  type TraceEvent,
} from "../trace.ts";
import type { SimulationParts, SimulationResult } from "./simulation.ts";

/** Two runs of one seed that are not the same. */
export interface Divergence {
  readonly hashes: readonly [string, string];
  /** The first event in which they differ, as each run had it. */
  readonly one: string;
  readonly other: string;
}

/**
 * Runs a simulation twice and compares everything that happened.
 * @returns the first event that differs; undefined when the runs are the same
 */
export async function findDivergence(
  parts: SimulationParts,
  run: (parts: SimulationParts) => Promise<SimulationResult>,
): Promise<Divergence | undefined> {
  const [a, b] = [new Trace(), new Trace()];
  await run({ ...parts, trace: a });
  await run({ ...parts, trace: b });
  if (a.hash === b.hash && a.events === b.events) return undefined;
  const shorter = Math.min(a.checkpoints.length, b.checkpoints.length);
  let checkpoint = 0;
  while (checkpoint < shorter && a.checkpoints[checkpoint] === b.checkpoints[checkpoint])
    checkpoint++;
  const from = checkpoint * CHECKPOINT_EVENTS;
  const window = { from, to: from + CHECKPOINT_EVENTS };
  const [c, d] = [new Trace(window), new Trace(window)];
  await run({ ...parts, trace: c });
  await run({ ...parts, trace: d });
  const difference = firstDifference(c.recorded, d.recorded);
  return {
    hashes: [a.hash, b.hash],
    // Chance may have it that the two runs of the second pair are alike: then their place is all that is known.
    one:
      difference === undefined
        ? `within ${CHECKPOINT_EVENTS} events of ${from}`
        : text(difference.one),
    other: difference === undefined ? "the same when run again" : text(difference.other),
  };
}

function text(event: TraceEvent | undefined): string {
  return event === undefined ? "nothing" : describeEvent(event);
}
