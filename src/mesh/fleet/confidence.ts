import type { MemberState } from "../membership/member.ts";

/** Certainty at the moment of the evidence: seen with own eyes, and told by others. */
const CERTAINTY: Readonly<Record<MemberState, { readonly seen: number; readonly told: number }>> = {
  alive: { seen: 1, told: 0.9 },
  suspect: { seen: 0.5, told: 0.4 },
  dead: { seen: 0.8, told: 0.7 },
  left: { seen: 1, told: 0.9 },
};

/** What is known of the evidence for what is shown of an agent. */
export interface Evidence {
  readonly state: MemberState;
  /** There is a link to it, so that it is probed by this agent itself. */
  readonly linked: boolean;
  /** How old the evidence is. */
  readonly ageMs: number;
  /** How often there would be news: agents sign their records anew so often in a fleet of that size. */
  readonly refreshMs: number;
}

/**
 * How far what is shown of an agent can be relied upon now: certainty of its state, halved for each refresh that could
 * have told otherwise and did not come.
 * @returns 0 to 1; never more for older evidence, and more for a linked agent than for another of the same age
 */
export function confidenceOf({ state, linked, ageMs, refreshMs }: Evidence): number {
  const { seen, told } = CERTAINTY[state];
  return (linked ? seen : told) * 2 ** -(Math.max(0, ageMs) / refreshMs);
}

/** @returns how old the evidence is: for the living the last sign of life, for those that are gone the finding of that */
export function evidenceAgeMs(state: MemberState, heardOfMsAgo: number, forMs: number): number {
  return state === "dead" || state === "left" ? forMs : heardOfMsAgo;
}
