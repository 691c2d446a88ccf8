import type { PeerId } from "../../platform/signer.ts";
import type { Certificate } from "./certificate.ts";
import { type PrioritizedValidator, ProposerRotation } from "./proposer-rotation.ts";
import type { RoundState } from "./round-machine.ts";
import { NO_ROUND, type SignedProposal, type SignedVote, type ValueId } from "./vote.ts";

/**
 * What a node writes down, in this order, before anybody hears of it. A `height` entry ends the use of those before it, but
 * for the `decision` entries, which are the chain.
 */
export type WalEntry =
  | {
      readonly kind: "height";
      readonly height: number;
      readonly validators: readonly PrioritizedValidator[];
      /** Of round 0. */
      readonly proposer: PeerId;
    }
  /** A value that this node proposed, or holds to be valid. */
  | {
      readonly kind: "value";
      readonly height: number;
      readonly valueId: ValueId;
      readonly value: Uint8Array;
    }
  /** The votes that let the node into a round after the first. */
  | {
      readonly kind: "entrance";
      readonly height: number;
      readonly votes: readonly SignedVote[];
    }
  /** The prevotes that made a value valid. */
  | { readonly kind: "polka"; readonly certificate: Certificate }
  | { readonly kind: "proposal"; readonly proposal: SignedProposal }
  | { readonly kind: "vote"; readonly vote: SignedVote }
  | {
      readonly kind: "decision";
      readonly certificate: Certificate;
      readonly value: Uint8Array;
    };

/** A decision as it is written down. */
export type DecisionEntry = Extract<WalEntry, { kind: "decision" }>;

/** What a node knew when it stopped. */
export interface Recovered {
  readonly height: number;
  readonly rotation: ProposerRotation;
  /** Own words of the height. */
  readonly votes: readonly SignedVote[];
  readonly proposals: readonly SignedProposal[];
  readonly values: ReadonlyMap<ValueId, Uint8Array>;
  /** Of the latest valid value. */
  readonly polka: Certificate | undefined;
  /** The votes that let the node into its latest round. */
  readonly entrance: readonly SignedVote[];
  /** The height is over. */
  readonly decision: DecisionEntry | undefined;
  /** The latest decisions before it, oldest first. */
  readonly decisions: readonly DecisionEntry[];
}

/**
 * Reads a log back: what was said is said again and never contradicted.
 * @param entries oldest first; of the decisions the latest are enough
 * @param decisionsMax how many decisions are wanted back
 * @returns undefined for an empty log
 * @throws Error for a log that no node writes
 */
export function recover(entries: Iterable<WalEntry>, decisionsMax: number): Recovered | undefined {
  let begun: Extract<WalEntry, { kind: "height" }> | undefined;
  let votes: SignedVote[] = [];
  let proposals: SignedProposal[] = [];
  let values = new Map<ValueId, Uint8Array>();
  let polka: Certificate | undefined;
  let entrance: Extract<WalEntry, { kind: "entrance" }> | undefined;
  const decisions: DecisionEntry[] = [];
  for (const entry of entries) {
    if (entry.kind === "height") {
      if (begun !== undefined && entry.height <= begun.height)
        throw new Error(`height ${entry.height} comes after ${begun.height} in the log`);
      begun = entry;
      votes = [];
      proposals = [];
      values = new Map();
      polka = undefined;
      entrance = undefined;
      continue;
    }
    if (entry.kind === "decision") {
      decisions.push(entry);
      if (decisions.length > decisionsMax + 1) decisions.shift();
      continue;
    }
    const height = heightOfEntry(entry);
    if (height !== begun?.height)
      throw new Error(`an entry of height ${height} is not after the start of that height`);
    if (entry.kind === "vote") votes.push(entry.vote);
    else if (entry.kind === "proposal") proposals.push(entry.proposal);
    else if (entry.kind === "value") values.set(entry.valueId, entry.value);
    else if (entry.kind === "entrance") entrance = entry;
    else if (entry.certificate.round > (polka?.round ?? NO_ROUND)) polka = entry.certificate;
  }
  if (begun === undefined) {
    if (decisions.length > 0) throw new Error("the log has decisions, and no height");
    return undefined;
  }
  const { height, validators, proposer } = begun;
  const last = decisions.at(-1);
  const decision = last?.certificate.height === height ? last : undefined;
  return {
    height,
    rotation: ProposerRotation.restore(validators, proposer),
    votes,
    proposals,
    values,
    polka,
    entrance: entrance?.votes ?? [],
    decision,
    decisions: decisions.filter((one) => one !== decision).slice(-decisionsMax),
  };
}

/**
 * Shortens the log of a height that goes on for long: what {@link recover} makes of the result leads to the same state.
 * @returns nothing for an empty log
 * @throws Error as {@link recover} does
 */
export function compact(entries: Iterable<WalEntry>, decisionsMax: number): WalEntry[] {
  const recovered = recover(entries, decisionsMax);
  if (recovered === undefined) return [];
  const { height, rotation, decision, decisions, polka, values, entrance } = recovered;
  const kept: WalEntry[] = [...decisions];
  kept.push(heightEntry(height, rotation));
  if (decision !== undefined) return [...kept, decision];
  const round = lastRoundOf(recovered);
  const proposals = recovered.proposals.filter((proposal) => proposal.round === round);
  const lock = lockOf(recovered.votes);
  const wanted = new Set([polka?.valueId, ...proposals.map(({ valueId }) => valueId)]);
  for (const [valueId, value] of values)
    if (wanted.has(valueId)) kept.push({ kind: "value", height, valueId, value });
  if (polka !== undefined) kept.push({ kind: "polka", certificate: polka });
  if (entrance.length > 0) kept.push({ kind: "entrance", height, votes: entrance });
  for (const proposal of proposals) kept.push({ kind: "proposal", proposal });
  for (const vote of recovered.votes)
    if (vote === lock || vote.round === round) kept.push({ kind: "vote", vote });
  return kept;
}

/** The entry that begins a height. */
export function heightEntry(height: number, rotation: ProposerRotation): WalEntry {
  return {
    kind: "height",
    height,
    validators: rotation.snapshot(),
    proposer: rotation.proposer,
  };
}

/** The latest round in which a node said something; -1 when it said nothing. */
export function lastRoundOf({ votes, proposals }: Pick<Recovered, "votes" | "proposals">): number {
  let round = NO_ROUND;
  for (const vote of votes) round = Math.max(round, vote.round);
  for (const proposal of proposals) round = Math.max(round, proposal.round);
  return round;
}

/** The precommit that a node is bound by: its latest one for a value. */
function lockOf(votes: readonly SignedVote[]): SignedVote | undefined {
  let lock: SignedVote | undefined;
  for (const vote of votes) {
    if (vote.kind !== "precommit" || vote.valueId === null) continue;
    if (lock === undefined || vote.round > lock.round) lock = vote;
  }
  return lock;
}

/** Where a node goes on that said its last word in that round. */
export function stateAfter({ height, votes, polka }: Recovered, round: number): RoundState {
  const said = new Set(votes.filter((vote) => vote.round === round).map(({ kind }) => kind));
  const lock = lockOf(votes);
  const lockedRound = lock?.round ?? NO_ROUND;
  const lockedValue = lock?.valueId ?? null;
  const isLater = polka !== undefined && polka.round >= lockedRound;
  let step: RoundState["step"] = "propose";
  if (said.has("prevote")) step = "prevote";
  if (said.has("precommit")) step = "precommit";
  return {
    height,
    round,
    step,
    lockedRound,
    lockedValue,
    validRound: isLater ? polka.round : lockedRound,
    validValue: isLater ? polka.valueId : lockedValue,
  };
}

function heightOfEntry(entry: Exclude<WalEntry, { kind: "height" | "decision" }>): number {
  if (entry.kind === "value" || entry.kind === "entrance") return entry.height;
  if (entry.kind === "vote") return entry.vote.height;
  return entry.kind === "polka" ? entry.certificate.height : entry.proposal.height;
}
