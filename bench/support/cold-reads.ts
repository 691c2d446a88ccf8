/** Words of 4 bytes: 1 GiB, more than any cache holds and than page tables are cached for. */
const WORDS = 2 ** 28;
const READS = 4_000_000;

/**
 * How long this machine takes to read from where it has not read for long: each read says where the next one goes, so that none can be
 * begun ahead. A simulation of thousands of agents does little else.
 * @returns nanoseconds
 */
export function coldReadNs(): number {
  const next = new Uint32Array(WORDS);
  // Goes through every word once (Hull and Dobell 1962), and never near the one before.
  const after = (at: number): number => (Math.imul(at, 1_664_525) + 1_013_904_223) & (WORDS - 1);
  for (let at = 0; at < WORDS; at++) next[at] = after(at);
  let at = 0;
  const fromMs = performance.now();
  for (let read = 0; read < READS; read++) at = next[at] ?? 0;
  const ns = ((performance.now() - fromMs) * 1e6) / READS;
  // Whoever reads ahead of the loop has to have come to the same place.
  if (at === 0) throw new Error("the walk has come back to its beginning");
  return ns;
}
