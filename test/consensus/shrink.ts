import { FAULTS } from "../support/consensus/faults.ts";
import { PROTOCOLS, type Protocol } from "./protocols.ts";
import { type Limits, runSeed, type SeedRun } from "./seed.ts";

const HALVINGS_MAX = 5;

/** @returns the least of what a seed has that still breaks the same invariant */
export async function shrink(
  protocol: Protocol,
  { seed, violation }: SeedRun,
  from: Limits,
): Promise<Limits> {
  let least = from;
  const isBroken = async (limits: Limits): Promise<boolean> => {
    const again = await runSeed(PROTOCOLS[protocol], seed, limits);
    return again.violation?.invariant === violation?.invariant;
  };
  for (let halving = 0; halving < HALVINGS_MAX; halving++) {
    const shorter = { ...least, length: least.length / 2 };
    if (!(await isBroken(shorter))) break;
    least = shorter;
  }
  for (const fault of FAULTS) {
    if (least.without.has(fault)) continue;
    const calmer = { ...least, without: new Set([...least.without, fault]) };
    if (await isBroken(calmer)) least = calmer;
  }
  return least;
}

/** @returns the command that runs one seed so */
export function commandFor(protocol: Protocol, seed: number, { without, length }: Limits): string {
  const calm = without.size === 0 ? "" : ` --without ${[...without].join(",")}`;
  const short = length === 1 ? "" : ` --length ${length}`;
  return `node test/consensus/hunt.ts --protocol ${protocol} --first ${seed} --seeds 1${short}${calm}`;
}
