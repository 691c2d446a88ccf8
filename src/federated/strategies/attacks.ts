import type { Random } from "../../platform/random.ts";
import { standardNormal } from "./elementary.ts";

/** What attackers know: the updates of everybody who is honest. */
export interface AttackScene {
  readonly honest: readonly Float32Array[];
  /** How many updates the attackers send. */
  readonly attackers: number;
  /** What attackers would send if they were honest, for those attacks that twist it; as long as `attackers`. */
  readonly own?: readonly Float32Array[];
  readonly random: Random;
}

/** Makes what attackers send: one update for each of them. */
export type Attack = (scene: AttackScene) => Float32Array[];

/** Noise around zero that has nothing to do with the model (Blanchard et al. 2017, section 5 with sigma = 200). */
export function gaussian(sigma: number): Attack {
  return ({ honest, attackers, random }) =>
    Array.from({ length: attackers }, () =>
      lengthOf(honest).map(() => sigma * standardNormal(random)),
    );
}

/** `-factor` times the mean of the honest: Blanchard et al.'s omniscient attacker, against the descent (factor 20). */
export function omniscient(factor: number): Attack {
  return (scene) => everybody(scene, scaled(meanOf(scene.honest), -factor));
}

/**
 * Inner-product manipulation (Xie, Koyejo, Gupta 2019): the same with a factor so small that the update does not stand out
 * (1.1), yet the aggregate's product with the true gradient is negative.
 */
export function innerProductManipulation(epsilon: number): Attack {
  return omniscient(epsilon);
}

/**
 * A little is enough (Baruch et al. 2019): the mean of the honest less `z` of their standard deviations in each
 * coordinate, which hides within their spread. The deviation is that of the population, as in the paper's own code.
 */
export function littleIsEnough(z: number): Attack {
  return (scene) => {
    const mean = meanOf(scene.honest);
    const variance = new Float64Array(mean.length);
    for (const update of scene.honest)
      for (let at = 0; at < mean.length; at++)
        variance[at] = (variance[at] ?? 0) + ((update[at] ?? 0) - (mean[at] ?? 0)) ** 2;
    return everybody(
      scene,
      Float32Array.from(
        mean,
        (value, at) => value - z * Math.sqrt((variance[at] ?? 0) / scene.honest.length),
      ),
    );
  };
}

/** What the attacker would have sent, turned round; the negated mean of the honest where it has nothing of its own. */
export const signFlip: Attack = (scene) =>
  scene.own === undefined
    ? everybody(scene, scaled(meanOf(scene.honest), -1))
    : scene.own.map((update) => update.map((value) => -value));

/** Nothing at all, which slows everybody down. */
export const zero: Attack = (scene) => everybody(scene, lengthOf(scene.honest));

/** A vector of zeros, as long as the honest ones. */
function lengthOf(honest: readonly Float32Array[]): Float32Array {
  return new Float32Array(honest[0]?.length ?? 0);
}

function everybody(
  { attackers }: AttackScene,
  update: Float32Array | Float64Array,
): Float32Array[] {
  return Array.from({ length: attackers }, () => Float32Array.from(update));
}

function scaled(values: Float64Array, factor: number): Float64Array {
  return values.map((value) => factor * value);
}

function meanOf(honest: readonly Float32Array[]): Float64Array {
  const sum = new Float64Array(honest[0]?.length ?? 0);
  for (const update of honest)
    for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) + (update[at] ?? 0);
  return sum.map((value) => value / honest.length);
}
