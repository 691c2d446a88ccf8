/**
 * Why an item of an entry was refused. `not-a-member`: its speaker has no say in this. `known-proposal`: the id is that of
 * a proposal that is open. `decided`: the proposal has been decided. `stale`: the proposer knows none of the last
 * decisions. `full`: too many proposals are open. `repeated`: it was said before, which does no harm. `contradicts`: the
 * member voted otherwise before, which counts. `not-certifiable`: the decision is none that members vouch for.
 */
export type Refusal = (typeof REFUSALS)[number];

const REFUSALS = [
  "malformed",
  "other-group",
  "not-a-member",
  "forged",
  "reserved-topic",
  "known-proposal",
  "unknown-proposal",
  "decided",
  "stale",
  "full",
  "other-value",
  "repeated",
  "contradicts",
  "not-the-proposer",
  "not-certifiable",
] as const;

/** What came of one item of an entry. */
export type Answer = "taken" | Refusal;

const ANSWERS: readonly Answer[] = ["taken", ...REFUSALS];

/** @returns a byte for each */
export function encodeAnswers(answers: readonly Answer[]): Uint8Array {
  return Uint8Array.from(answers, (answer) => ANSWERS.indexOf(answer));
}

/** @returns what {@link encodeAnswers} wrote; `malformed` for bytes that are none of its own; never throws */
export function decodeAnswers(bytes: Uint8Array): readonly Answer[] {
  return Array.from(bytes, (byte) => ANSWERS[byte] ?? "malformed");
}
