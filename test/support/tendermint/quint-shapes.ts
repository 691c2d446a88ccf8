/** What the Quint specification calls things, in both directions. */
import type { DriverInput, HeightDriver } from "../../../src/consensus/tendermint/height-driver.ts";
import { executedKey } from "../../../src/consensus/tendermint/height-driver.ts";
import type {
  RoundInput,
  RoundOutput,
  RoundState,
  Step,
  TimeoutKind,
} from "../../../src/consensus/tendermint/round-machine.ts";
import type { Proposal, Vote, VoteKind } from "../../../src/consensus/tendermint/vote.ts";
import type { RoundVotes, Tally } from "../../../src/consensus/tendermint/vote-keeper.ts";
import { asList, asRecord, asText, type Itf, ItfMap, type ItfRecord, ItfSet } from "./itf.ts";

const UNIT: Itf = [];
const STEPS: Record<Step, string> = {
  new: "NoStep",
  unstarted: "UnstartedStep",
  propose: "ProposeStep",
  prevote: "PrevoteStep",
  precommit: "PrecommitStep",
  commit: "CommitStep",
};
const TIMEOUTS: Record<TimeoutKind, string> = {
  propose: "ProposeTimeout",
  prevote: "PrevoteTimeout",
  precommit: "PrecommitTimeout",
};
const KINDS: Record<VoteKind, string> = { prevote: "Prevote", precommit: "Precommit" };

function variant(tag: string, value: Itf = UNIT): ItfRecord {
  return { tag, value };
}

function keyOf<K extends string>(names: Record<K, string>, tag: Itf | undefined): K {
  for (const key of Object.keys(names) as K[]) if (names[key] === tag) return key;
  throw new Error(`the specification has no ${asText(tag)} there`);
}

export function toValue(valueId: string | null): Itf {
  return valueId === null ? variant("Nil") : variant("Val", valueId);
}

export function fromValue(value: Itf | undefined): string | null {
  const { tag, value: name } = asRecord(value);
  return tag === "Nil" ? null : asText(name);
}

function named(value: Itf | undefined): string {
  return fromValue(value) ?? "";
}

export function fromVote(value: Itf): Vote {
  const { voteType, height, round, valueId, srcAddress } = asRecord(value);
  return {
    kind: keyOf(KINDS, asRecord(voteType)["tag"]),
    height: Number(height),
    round: Number(round),
    valueId: fromValue(valueId),
    validator: asText(srcAddress),
  };
}

export function toVote({ kind, height, round, valueId, validator }: Vote): Itf {
  return {
    voteType: variant(KINDS[kind]),
    height,
    round,
    valueId: toValue(valueId),
    srcAddress: validator,
  };
}

export function fromProposal(value: Itf): Proposal {
  const { height, round, proposal, validRound, srcAddress } = asRecord(value);
  return {
    height: Number(height),
    round: Number(round),
    valueId: asText(proposal),
    validRound: Number(validRound),
    proposer: asText(srcAddress),
  };
}

export function toProposal(proposal: Proposal): Itf {
  const { height, round, valueId, validRound, proposer } = proposal;
  return { height, round, proposal: valueId, validRound, srcAddress: proposer };
}

export function toState(state: RoundState, self: string): Itf {
  return {
    p: self,
    height: state.height,
    round: state.round,
    step: variant(STEPS[state.step]),
    lockedRound: state.lockedRound,
    lockedValue: toValue(state.lockedValue),
    validRound: state.validRound,
    validValue: toValue(state.validValue),
  };
}

/** @returns undefined for the input that stands for none */
export function fromRoundInput(input: Itf | undefined): RoundInput | undefined {
  const { tag, value } = asRecord(input);
  const name = asText(tag);
  const pair = Array.isArray(value) ? (value as readonly Itf[]) : [];
  const timeout = (kind: TimeoutKind): RoundInput => ({
    kind: "timeout",
    timeout: kind,
    height: Number(pair[0]),
    round: Number(pair[1]),
  });
  switch (name) {
    case "NoConsensusInput":
      return undefined;
    case "NewRoundCInput":
      return { kind: "new-round", round: Number(value) };
    case "NewRoundProposerCInput":
      return { kind: "new-round-as-proposer", round: Number(value) };
    case "ProposeValueCInput":
      return { kind: "own-value", valueId: asText(value) };
    case "ProposalCInput":
      return { kind: "proposal", round: Number(pair[0]), valueId: named(pair[1]) };
    case "ProposalInvalidCInput":
      return { kind: "invalid-proposal" };
    case "ProposalAndPolkaPreviousAndValidCInput":
      return {
        kind: "proposal-with-earlier-polka",
        valueId: named(pair[0]),
        validRound: Number(pair[1]),
      };
    case "ProposalAndPolkaAndInvalidCInput":
      return { kind: "invalid-proposal-with-earlier-polka", valueId: named(value) };
    case "PolkaAnyCInput":
      return { kind: "polka-any" };
    case "PolkaNilCInput":
      return { kind: "polka-nil" };
    case "ProposalAndPolkaAndValidCInput":
      return { kind: "proposal-with-polka", valueId: named(value) };
    case "PrecommitAnyCInput":
      return { kind: "precommit-any" };
    case "ProposalAndCommitAndValidCInput":
      return { kind: "proposal-with-commit", round: Number(pair[0]), valueId: asText(pair[1]) };
    case "RoundSkipCInput":
      return { kind: "skip-round", round: Number(value) };
    case "TimeoutProposeCInput":
      return timeout("propose");
    case "TimeoutPrevoteCInput":
      return timeout("prevote");
    case "TimeoutPrecommitCInput":
      return timeout("precommit");
    default:
      throw new Error(`the specification has no input ${asText(tag)}`);
  }
}

/** The texts of errors are the specification's own: only that there is one is compared. */
export function toOutput(output: RoundOutput, state: RoundState, self: string): Itf {
  let shape: Itf = variant("NoConsensusOutput");
  switch (output.kind) {
    case "none":
      break;
    case "refused":
      shape = variant("ErrorOutput");
      break;
    case "value-wanted":
      shape = variant("GetValueAndScheduleTimeoutOutput", [
        output.height,
        output.round,
        variant("ProposeTimeout"),
      ]);
      break;
    case "proposal":
      shape = variant("ProposalOutput", toProposal({ ...output, proposer: self }));
      break;
    case "vote":
      shape = variant("VoteOutput", toVote({ ...output, kind: output.vote, validator: self }));
      break;
    case "timer":
      shape = variant("TimeoutOutput", [state.round, variant(TIMEOUTS[output.timeout])]);
      break;
    case "decided":
      shape = variant("DecidedOutput", [output.round, output.valueId]);
      break;
    case "skipped":
      shape = variant("SkipRoundOutput", output.round);
      break;
  }
  return shape;
}

/** An output of the trace, in the form of {@link toOutput}. */
export function comparableOutput(output: Itf | undefined): Itf {
  const { tag, value } = asRecord(output);
  return tag === "ErrorOutput" ? variant("ErrorOutput") : variant(asText(tag), value);
}

const TALLIES: Record<Tally["kind"], string> = {
  "polka-any": "PolkaAnyVKOutput",
  "polka-nil": "PolkaNilVKOutput",
  "polka-value": "PolkaValueVKOutput",
  "precommit-any": "PrecommitAnyVKOutput",
  "precommit-value": "PrecommitValueVKOutput",
  skip: "SkipVKOutput",
};

export function toTally(tally: Tally | undefined): Itf {
  if (tally === undefined) return variant("NoVKOutput");
  const { round } = tally;
  return variant(TALLIES[tally.kind], "valueId" in tally ? [round, tally.valueId] : round);
}

/** What a round's bookkeeping says that this vote keeper knows as well. */
export function toRound(round: number, votes: RoundVotes<Vote>): Itf {
  const count = (kind: VoteKind): Itf => ({
    receivedVotes: new ItfSet([...votes[kind].votes()].map(toVote)),
    valuesWeights: new ItfMap(
      [...votes[kind].weights()].map(([valueId, weight]) => [toValue(valueId), weight]),
    ),
  });
  return {
    round,
    told: new ItfSet([...votes.told]),
    prevotes: count("prevote"),
    precommits: count("precommit"),
    voters: new ItfSet([...votes.voters]),
  };
}

/** A round of the trace's bookkeeper, in the form of {@link toRound}. */
export function comparableRound(votes: Itf): Itf {
  const { round, prevotes, precommits, votesAddressesWeights, emittedOutputs } = asRecord(votes);
  const count = (one: Itf | undefined): Itf => {
    const { receivedVotes, valuesWeights } = asRecord(one);
    return { receivedVotes: receivedVotes ?? UNIT, valuesWeights: valuesWeights ?? UNIT };
  };
  if (!(votesAddressesWeights instanceof ItfMap)) throw new Error("no weights of voters");
  return {
    round: round ?? UNIT,
    told: new ItfSet(asList(emittedOutputs).map(toldKey)),
    prevotes: count(prevotes),
    precommits: count(precommits),
    voters: new ItfSet(votesAddressesWeights.entries.map(([voter]) => voter)),
  };
}

function toldKey(output: Itf): string {
  const { tag, value } = asRecord(output);
  const kind = keyOf(TALLIES, tag);
  return Array.isArray(value) ? `${kind}/${asText(value[1])}` : kind;
}

/** The driver of the trace as this driver shows itself: what was executed in rounds that are over is not kept. */
export function comparableDriver(es: ItfRecord): ItfRecord {
  const cs = asRecord(es["cs"]);
  const bk = asRecord(es["bk"]);
  if (!(bk["rounds"] instanceof ItfMap)) throw new Error("the bookkeeper has no rounds");
  const executed = asList(es["executedInputs"]).flatMap((one) => {
    const [input, , round, step] = asList(one);
    const known = fromRoundInput(input);
    if (known === undefined || Number(round) !== cs["round"]) return [];
    return [executedKey(known, Number(round), keyOf(STEPS, asRecord(step)["tag"]))];
  });
  const pending = asList(es["pendingInputs"]).map((one) => {
    const [input, , round] = asList(one);
    const known = fromRoundInput(input);
    return known === undefined ? "" : executedKey(known, Number(round), "new");
  });
  return {
    cs,
    rounds: new ItfSet(bk["rounds"].entries.map(([, votes]) => comparableRound(votes))),
    proposals: es["proposals"] ?? UNIT,
    executed: new ItfSet(executed),
    pending: new ItfSet(pending),
    stepChange: asRecord(es["pendingStepChange"])["tag"] ?? UNIT,
    started: es["started"] ?? UNIT,
    tally: es["voteKeeperOutput"] ?? UNIT,
  };
}

/** This driver, in the form of {@link comparableDriver}. */
export function toDriver(driver: HeightDriver<Vote>, self: string): ItfRecord {
  const { state, keeper, pending, executed, hasStarted, tally } = driver;
  const rounds = [...keeper.rounds()];
  const proposals = Array.from({ length: 10 }, (_, round) => driver.proposals(round)).flat();
  return {
    cs: toState(state, self),
    rounds: new ItfSet(rounds.map(([round, votes]) => toRound(round, votes))),
    proposals: new ItfSet(proposals.map(toProposal)),
    executed: new ItfSet([...executed].filter((key) => key.endsWith(`@${state.round}`))),
    pending: new ItfSet(pending.map(({ input, round }) => executedKey(input, round, "new"))),
    stepChange: driver.next()?.kind === "step-change" ? STEPS[state.step] : "NoStep",
    started: hasStarted,
    tally: toTally(tally),
  };
}

/** @returns undefined for inputs that ask for nothing */
export function fromDriverInput(input: Itf | undefined): DriverInput<Vote> | undefined {
  const { tag, value = UNIT } = asRecord(input);
  switch (asText(tag)) {
    case "NoDInput":
      return undefined;
    case "ProposeValueDInput":
      return { kind: "own-value", valueId: asText(value) };
    case "ProposalDInput": {
      const proposal = fromProposal(value);
      return { kind: "proposal", proposal, isValid: proposal.valueId !== "invalid" };
    }
    case "VoteDInput":
      return { kind: "vote", vote: fromVote(value) };
    case "CertificateDInput":
      return { kind: "certificate", votes: asList(value).map(fromVote) };
    case "TimeoutDInput":
      return { kind: "timeout", timeout: keyOf(TIMEOUTS, asRecord(value)["tag"]) };
    case "StepChangeDInput":
      return { kind: "step-change" };
    case "PendingDInput":
      return { kind: "pending" };
    default:
      throw new Error(`the specification has no driver input ${asText(tag)}`);
  }
}
