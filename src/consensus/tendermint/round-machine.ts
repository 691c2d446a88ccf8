import { NO_ROUND, type ValueId, type VoteKind } from "./vote.ts";

/**
 * Where a validator is in a round. `new`: before the first round of a height; `unstarted`: between two rounds; `commit`:
 * decided. The other three are the steps of the paper.
 */
export type Step = "new" | "unstarted" | "propose" | "prevote" | "precommit" | "commit";

/** Which wait a timeout ends. */
export type TimeoutKind = VoteKind | "propose";

/** All that a validator remembers of a height, besides the messages. Rounds are -1 where there is none. */
export interface RoundState {
  readonly height: number;
  readonly round: number;
  readonly step: Step;
  readonly lockedRound: number;
  readonly lockedValue: ValueId | null;
  readonly validRound: number;
  readonly validValue: ValueId | null;
}

/**
 * What the messages amount to. `polka` is more than 2/3 of the power in prevotes, `commit` the same in precommits; `-any`
 * is for whatever values. Inputs with a value say that its proposal is there and valid, unless their name says otherwise.
 */
export type RoundInput =
  | { readonly kind: "new-round"; readonly round: number }
  | { readonly kind: "new-round-as-proposer"; readonly round: number }
  /** The value that was asked for. */
  | { readonly kind: "own-value"; readonly valueId: ValueId }
  | { readonly kind: "proposal"; readonly round: number; readonly valueId: ValueId }
  | { readonly kind: "invalid-proposal" }
  | {
      readonly kind: "proposal-with-earlier-polka";
      readonly valueId: ValueId;
      readonly validRound: number;
    }
  | { readonly kind: "invalid-proposal-with-earlier-polka"; readonly valueId: ValueId }
  | { readonly kind: "polka-any" }
  | { readonly kind: "polka-nil" }
  | { readonly kind: "proposal-with-polka"; readonly valueId: ValueId }
  | { readonly kind: "precommit-any" }
  | { readonly kind: "proposal-with-commit"; readonly round: number; readonly valueId: ValueId }
  /** More than 1/3 of the power is in a later round. */
  | { readonly kind: "skip-round"; readonly round: number }
  | {
      readonly kind: "timeout";
      readonly timeout: TimeoutKind;
      readonly height: number;
      readonly round: number;
    };

/** What follows, at most one thing an input. */
export type RoundOutput =
  | { readonly kind: "none" }
  /** The input does not fit the state; nothing has changed. */
  | { readonly kind: "refused"; readonly input: RoundInput["kind"] }
  /** This validator proposes in the round and holds no valid value: ask for one, and wait for it with a timeout. */
  | { readonly kind: "value-wanted"; readonly height: number; readonly round: number }
  | {
      readonly kind: "proposal";
      readonly height: number;
      readonly round: number;
      readonly valueId: ValueId;
      readonly validRound: number;
    }
  | {
      readonly kind: "vote";
      readonly vote: VoteKind;
      readonly height: number;
      readonly round: number;
      readonly valueId: ValueId | null;
    }
  | { readonly kind: "timer"; readonly timeout: TimeoutKind; readonly round: number }
  | { readonly kind: "decided"; readonly round: number; readonly valueId: ValueId }
  | { readonly kind: "skipped"; readonly round: number };

/** One transition. */
export interface RoundResult {
  readonly state: RoundState;
  readonly output: RoundOutput;
}

const NONE: RoundOutput = { kind: "none" };

/** The state in which a height begins. */
export function newHeight(height: number): RoundState {
  return {
    height,
    round: NO_ROUND,
    step: "new",
    lockedRound: NO_ROUND,
    lockedValue: null,
    validRound: NO_ROUND,
    validValue: null,
  };
}

/**
 * The rules of one validator: Buchman, Kwon, Milosevic, "The latest gossip on BFT consensus", 2018, algorithm 1; line
 * numbers below are its. Who proposes, which messages are there and what is valid is for the caller to know.
 */
export function advance(state: RoundState, input: RoundInput): RoundResult {
  const { height, round, step } = state;
  let result = refuse(state, input);
  switch (input.kind) {
    case "new-round":
    case "new-round-as-proposer":
      if (isBetweenRounds(step) && input.round > round)
        result = enter(state, input.round, input.kind === "new-round-as-proposer");
      break;
    case "own-value":
      if (step === "propose") {
        const { valueId } = input;
        const { validRound } = state;
        result = { state, output: { kind: "proposal", height, round, valueId, validRound } };
      }
      break;
    case "proposal":
      // Lines 22 to 26.
      if (step === "propose") result = prevote(state, input.valueId, NO_ROUND);
      break;
    case "invalid-proposal":
    case "invalid-proposal-with-earlier-polka":
      if (step === "propose") result = vote(state, "prevote", null);
      break;
    case "proposal-with-earlier-polka":
      // Lines 28 to 32: a later polka frees from an earlier lock.
      if (step === "propose" && input.validRound >= 0 && input.validRound < round)
        result = prevote(state, input.valueId, input.validRound);
      break;
    case "polka-any":
      if (step === "prevote") result = timer(state, "prevote");
      break;
    case "polka-nil":
      if (step === "prevote") result = vote(state, "precommit", null);
      break;
    case "proposal-with-polka":
      if (step === "prevote" || step === "precommit") result = hold(state, input.valueId);
      break;
    case "precommit-any":
      result = timer(state, "precommit");
      break;
    case "proposal-with-commit":
      if (step !== "commit") {
        const output: RoundOutput = {
          kind: "decided",
          round: input.round,
          valueId: input.valueId,
        };
        result = { state: { ...state, step: "commit" }, output };
      }
      break;
    case "skip-round":
      if (input.round > round && step !== "commit") result = skip(state, input.round);
      break;
    case "timeout":
      if (input.height === height && input.round === round) result = timeout(state, input);
      break;
  }
  return result;
}

function isBetweenRounds(step: Step): boolean {
  return step === "new" || step === "unstarted";
}

/** Lines 11 to 21. */
function enter(state: RoundState, round: number, isProposer: boolean): RoundResult {
  const { height, validRound, validValue } = state;
  const entered: RoundState = { ...state, round, step: "propose" };
  if (!isProposer) return timer(entered, "propose");
  const output: RoundOutput =
    validValue === null
      ? { kind: "value-wanted", height, round }
      : { kind: "proposal", height, round, valueId: validValue, validRound };
  return { state: entered, output };
}

/** For the value, unless the validator is locked on another one since that round. */
function prevote(state: RoundState, valueId: ValueId, validRound: number): RoundResult {
  const isFree = state.lockedRound <= validRound || state.lockedValue === valueId;
  return vote(state, "prevote", isFree ? valueId : null);
}

/** Lines 36 to 43. */
function hold(state: RoundState, valueId: ValueId): RoundResult {
  const valid: RoundState = { ...state, validValue: valueId, validRound: state.round };
  if (state.step === "precommit") return { state: valid, output: NONE };
  return vote({ ...valid, lockedValue: valueId, lockedRound: state.round }, "precommit", valueId);
}

/** Lines 57 to 67. */
function timeout(state: RoundState, input: Extract<RoundInput, { kind: "timeout" }>): RoundResult {
  const { round, step } = state;
  if (input.timeout === "precommit")
    return step === "commit" ? refuse(state, input) : skip(state, round + 1);
  if (input.timeout !== step) return refuse(state, input);
  return vote(state, step === "propose" ? "prevote" : "precommit", null);
}

function skip(state: RoundState, round: number): RoundResult {
  return { state: { ...state, step: "unstarted" }, output: { kind: "skipped", round } };
}

/** A vote takes the validator to the step that bears its name. */
function vote(state: RoundState, kind: VoteKind, valueId: ValueId | null): RoundResult {
  const { height, round } = state;
  return {
    state: { ...state, step: kind },
    output: { kind: "vote", vote: kind, height, round, valueId },
  };
}

function timer(state: RoundState, kind: TimeoutKind): RoundResult {
  return { state, output: { kind: "timer", timeout: kind, round: state.round } };
}

function refuse(state: RoundState, input: RoundInput): RoundResult {
  return { state, output: { kind: "refused", input: input.kind } };
}
