// Traces of the public specification, step by step.
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { advance, newHeight } from "../../../../src/consensus/tendermint/round-machine.ts";
import { ValidatorSet } from "../../../../src/consensus/tendermint/validators.ts";
import type { Vote } from "../../../../src/consensus/tendermint/vote.ts";
import { VoteKeeper } from "../../../../src/consensus/tendermint/vote-keeper.ts";
import {
  asList,
  asMap,
  asRecord,
  asText,
  canonical,
  ItfSet,
  type ItfTrace,
  readTrace,
} from "../../../support/tendermint/itf.ts";
import {
  comparableOutput,
  comparableRound,
  fromRoundInput,
  fromVote,
  toOutput,
  toRound,
  toState,
  toTally,
} from "../../../support/tendermint/quint-shapes.ts";
import { replayNetwork } from "../../../support/tendermint/trace-replay.ts";

const directory = resolve(import.meta.dirname, "../../../../../shared/vectors/tendermint");
const ROUNDS_AHEAD_MAX = 16;

function replayMachine(t: Test, trace: ItfTrace): void {
  const [first, ...steps] = trace.states;
  const { p, height } = asRecord(first?.["state"]);
  const self = asText(p);
  let state = newHeight(Number(height));
  for (const [at, step] of steps.entries()) {
    const input = fromRoundInput(step["input"]);
    if (input === undefined) throw new Error(`step ${at + 1} has no input`);
    const result = advance(state, input);
    state = result.state;
    t.equal(canonical(toState(state, self)), canonical(step["state"] ?? []), `state ${at + 1}`);
    t.equal(
      canonical(toOutput(result.output, state, self)),
      canonical(comparableOutput(step["output"])),
      `output ${at + 1}`,
    );
  }
}

function replayKeeper(t: Test, trace: ItfTrace): void {
  const [first, ...steps] = trace.states;
  const weights = asMap(asRecord(first?.["bookkeeper"])["validatorSet"]).entries;
  const validators = weights.map(([id, power]) => ({ id: asText(id), power: Number(power) }));
  const keeper = new VoteKeeper<Vote>(new ValidatorSet(validators), ROUNDS_AHEAD_MAX);
  for (const [at, step] of steps.entries()) {
    const [vote, , currentRound] = asList(asRecord(step["weightedVote"])["value"]);
    const { tally } = keeper.add(fromVote(vote ?? []), Number(currentRound));
    t.equal(canonical(toTally(tally)), canonical(step["lastEmitted"] ?? []), `output ${at + 1}`);
    const rounds = [...keeper.rounds()].map(([round, votes]) => toRound(round, votes));
    const expected = asMap(asRecord(step["bookkeeper"])["rounds"]).entries;
    t.equal(
      canonical(new ItfSet(rounds)),
      canonical(new ItfSet(expected.map(([, votes]) => comparableRound(votes)))),
      `state ${at + 1}`,
    );
  }
}

if (!existsSync(directory) && process.env["CI"] !== "true") {
  t.comment(`skipped: there are no traces at ${directory}`);
} else {
  const files = readdirSync(directory).filter((file) => file.endsWith(".itf.json.gz"));
  t.ok(files.length > 0, "there are traces");
  for (const file of files) {
    t.test(file, async (t) => {
      const trace = readTrace(join(directory, file));
      if (trace.vars.length === 0) {
        // Assertions over the specification's functions, without a state: vote-keeper.test.ts has those that are ours too.
        t.equal(trace.states.length, 1, "it has no steps");
      } else if (trace.vars.includes("input")) replayMachine(t, trace);
      else if (trace.vars.includes("weightedVote")) replayKeeper(t, trace);
      else {
        const { compared, differences } = replayNetwork(trace);
        t.ok(compared > 0, `${compared} steps compared`);
        t.same(differences.slice(0, 3), []);
      }
    });
  }
}
