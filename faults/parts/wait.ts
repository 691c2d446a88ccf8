import { setTimeout as delay } from "node:timers/promises";

/** Something that had to happen did not. */
export class Stuck extends Error {
  override readonly name = "Stuck";
}

/** Asks until the answer is true. @returns how long that took. @throws Stuck naming `what`. */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  patienceMs = 20_000,
): Promise<number> {
  const beginMs = performance.now();
  while (!(await ask())) {
    if (performance.now() - beginMs > patienceMs)
      throw new Stuck(`waited ${patienceMs / 1_000} s for ${what}`);
    await delay(5);
  }
  return performance.now() - beginMs;
}
