import type { Test } from "tap";
import type { PlantedBug } from "../planted/bugs.ts";
import { runPlanted } from "../planted/hunt.ts";

/** A bug that takes more seeds than this is not caught. */
export const SEEDS_MAX = 3;
const JOBS = 2;

/**
 * Plants each bug and looks for a seed that fails. Every run is a process of its own, on a machine that may be busy: give
 * the test patience.
 */
export async function catchEach(t: Test, bugs: readonly PlantedBug[]): Promise<void> {
  await inTurns(bugs, async (bug) => {
    const caught = await caughtBy(bug);
    t.ok(caught, `${bug.name}: ${bug.about}`);
    t.comment(`${bug.name}: seed ${caught?.seed}, ${caught?.how}`);
  });
}

async function caughtBy(bug: PlantedBug): Promise<{ seed: number; how: string } | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const how = await runPlanted(bug, seed);
    if (how !== undefined) return { seed, how };
  }
  return undefined;
}

/** Does all that is given, some at a time. */
export async function inTurns<T>(
  all: readonly T[],
  work: (each: T) => Promise<void>,
): Promise<void> {
  const rest = [...all];
  const worker = async (): Promise<void> => {
    for (let each = rest.shift(); each !== undefined; each = rest.shift()) await work(each);
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
}
