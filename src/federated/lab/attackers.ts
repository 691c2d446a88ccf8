import {
  type Attack,
  gaussian,
  innerProductManipulation,
  littleIsEnough,
  omniscient,
  signFlip,
  zero,
} from "../strategies/attacks.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";

/** Some of the clients, the last ones. */
export interface Attackers {
  readonly count: number;
  readonly attack: Attack;
}

/**
 * @returns how many of the clients attack, and how
 * @throws LabError when none would be honest
 */
export function attackersOf(experiment: Pick<Experiment, "attack">, clients: number): Attackers {
  const attackers = described(experiment);
  if (attackers.count >= clients)
    throw new LabError(
      `attack.attackers: ${attackers.count} of ${clients} clients; one has to be honest`,
    );
  return attackers;
}

function described({ attack }: Pick<Experiment, "attack">): Attackers {
  switch (attack.kind) {
    case "none":
      return { count: 0, attack: () => [] };
    case "gaussian":
      return { count: attack.attackers, attack: gaussian(attack.sigma) };
    case "omniscient":
      return { count: attack.attackers, attack: omniscient(attack.factor) };
    case "inner-product":
      return { count: attack.attackers, attack: innerProductManipulation(attack.epsilon) };
    case "little-is-enough":
      return { count: attack.attackers, attack: littleIsEnough(attack.z) };
    case "sign-flip":
      return { count: attack.attackers, attack: signFlip };
    case "zero":
    default:
      return { count: attack.attackers, attack: zero };
  }
}
