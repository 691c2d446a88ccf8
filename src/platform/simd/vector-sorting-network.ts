/**
 * Batcher's odd-even merge sort (1968) for `count` values, without the comparators that none of the ranks wanted depends on.
 *
 * @param count values, up to 65,535
 * @param from first rank wanted, the least value having rank 0
 * @param until rank behind the last one wanted
 * @returns comparators in the order in which they work, `least << 16 | greatest`: the smaller value goes to `least`
 */
export function sortingNetwork(count: number, from: number, until: number): Uint32Array {
  const comparators: number[] = [];
  let size = 1;
  while (size < count) size *= 2;
  // Places from `count` on are thought to hold values greater than any: comparators with them change nothing.
  for (let span = 1; span < size; span *= 2)
    for (let step = span; step >= 1; step /= 2)
      for (let low = step % span; low + step < size; low += 2 * step)
        for (let lane = 0; lane < step; lane++) {
          const least = low + lane;
          const greatest = least + step;
          if (greatest >= count) continue;
          if (Math.floor(least / (2 * span)) === Math.floor(greatest / (2 * span)))
            comparators.push((least << 16) | greatest);
        }
  const wanted = new Uint8Array(count).fill(1, from, until);
  const needed: number[] = [];
  for (const comparator of comparators.reverse()) {
    const least = comparator >>> 16;
    const greatest = comparator & 0xffff;
    if (wanted[least] !== 1 && wanted[greatest] !== 1) continue;
    wanted[least] = 1;
    wanted[greatest] = 1;
    needed.push(comparator);
  }
  return Uint32Array.from(needed.reverse());
}
