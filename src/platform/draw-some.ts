import type { Random } from "./random.ts";

/** @returns up to `count` of them, each at most once, in an order by chance: the first steps of a shuffle (Fisher and Yates) */
export function drawSome<T>(from: readonly T[], count: number, random: Random): T[] {
  const drawn = [...from];
  const last = Math.min(count, drawn.length);
  for (let at = 0; at < last; at++) {
    const other = at + Math.floor(random.next() * (drawn.length - at));
    [drawn[at], drawn[other]] = [drawn[other] as T, drawn[at] as T];
  }
  return drawn.slice(0, last);
}
