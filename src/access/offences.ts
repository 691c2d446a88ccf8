/**
 * Ways to break the rules, and what each adds to a peer's score. What an honest peer may do by mistake or out of
 * bad luck weighs little, what only a forger does weighs much. `flood` and `denied` come with every single frame.
 */
export const OFFENCE_WEIGHTS = {
  malformed: 20,
  oversize: 20,
  "slow-reader": 10,
  flood: 0.1,
  "connect-flood": 5,
  denied: 0.1,
  replay: 2,
  "invalid-topic-message": 10,
  "record-flood": 5,
  "forged-record": 50,
  "forged-grant": 50,
  "forged-assignment": 50,
  "forged-deposit": 50,
  "forged-renewal": 50,
  /** Any kind that is not in this table. */
  other: 5,
} as const;

/** @see OFFENCE_WEIGHTS */
export type OffenceKind = keyof typeof OFFENCE_WEIGHTS;

/** @returns the kind of that name; `other` when there is none. */
export function offenceKindOf(name: string): OffenceKind {
  return Object.hasOwn(OFFENCE_WEIGHTS, name) ? (name as OffenceKind) : "other";
}
