import { resolve } from "node:path";
import type { Protocol } from "../consensus/protocols.ts";
import type { Totals } from "../consensus/totals.ts";
import type { ConsensusBug } from "./consensus-bugs.ts";
import { type Catch, runPlantedWith } from "./planting.ts";

const main = resolve(import.meta.dirname, "../consensus/hunt.ts");

/** Runs seeds of a protocol, with a bug in it, until one fails. */
export async function huntInProtocol(
  bug: ConsensusBug,
  first: number,
  seeds: number,
): Promise<Catch> {
  const { name, protocol } = bug;
  const range = ["--first", String(first), "--seeds", String(seeds)];
  const words = [main, "--protocol", protocol, ...range, "--stop", "--no-shrink", "--json"];
  const { code, out, err } = await runPlantedWith(name, words);
  const last = out.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{"))
    throw new Error(`the hunt for ${name} ended with ${code}: ${err.slice(0, 400)}`);
  const totals = JSON.parse(last) as Totals & { readonly protocol: Protocol };
  const [failure] = totals.failures;
  return failure === undefined
    ? { name, seeds: totals.seeds }
    : { name, seeds: totals.seeds, seed: failure.seed, how: failure.invariant };
}
