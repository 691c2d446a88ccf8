/** Replays traces of whole networks: each process of the trace is one driver here. */
import {
  type DriverResult,
  HeightDriver,
} from "../../../src/consensus/tendermint/height-driver.ts";
import { ValidatorSet } from "../../../src/consensus/tendermint/validators.ts";
import type { Vote } from "../../../src/consensus/tendermint/vote.ts";
import {
  asList,
  asMap,
  asRecord,
  asText,
  canonical,
  type Itf,
  type ItfRecord,
  ItfSet,
  type ItfTrace,
} from "./itf.ts";
import {
  comparableDriver,
  comparableOutput,
  fromDriverInput,
  fromProposal,
  fromVote,
  toDriver,
  toOutput,
  toProposal,
  toVote,
} from "./quint-shapes.ts";

const ROUNDS_AHEAD_MAX = 16;

/** Where the replay and the trace do not agree. */
export interface TraceDifference {
  readonly at: number;
  readonly validator: string;
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

export interface ReplayOutcome {
  /** Steps of processes that were compared. */
  readonly compared: number;
  readonly differences: readonly TraceDifference[];
}

interface Process {
  readonly driver: HeightDriver<Vote>;
  /** Found since the height began. */
  readonly evidence: Map<string, Itf>;
}

/** @returns what differs, at most one entry a field and step */
export function replayNetwork(trace: ItfTrace): ReplayOutcome {
  const states = trace.states.map((state) => networkOf(state, trace.vars));
  const [first] = states;
  if (first === undefined) throw new Error("the trace has no states");
  const processes = new Map<string, Process>();
  for (const [validator, node] of asMap(first.system).entries)
    processes.set(asText(validator), begin(asRecord(asRecord(node)["es"]), asText(validator)));
  const differences: TraceDifference[] = [];
  let compared = 0;
  for (const [at, after] of states.entries()) {
    const before = states[at - 1];
    if (before === undefined) continue;
    for (const [name, node] of asMap(after.system).entries) {
      const validator = asText(name);
      const was = asRecord(asMap(before.system).get(validator));
      const is = asRecord(node);
      const es = asRecord(is["es"]);
      const differ = (what: string, expected: Itf, actual: Itf): void => {
        if (canonical(expected) !== canonical(actual))
          differences.push({
            at,
            validator,
            what,
            expected: canonical(expected),
            actual: canonical(actual),
          });
      };
      if (hasNewHeight(was, is)) {
        processes.set(validator, begin(es, validator));
        continue;
      }
      const process = processes.get(validator);
      if (process === undefined) throw new Error(`nobody is called ${validator}`);
      if (!hasStepped(before, after, validator)) continue;
      compared++;
      const result = perform(process, was, after.hist["input"]);
      if (result !== undefined) {
        differ(
          "output",
          comparableOutput(after.hist["output"]),
          toOutput(result.output, process.driver.state, validator),
        );
        if (result.output.kind === "decided" && !isHeightStart(was))
          differ("decision", lastOf(es["chain"]), decisionOf(process, result.output));
        if (after.certificates !== undefined)
          differ(
            "certificates",
            newCertificates(before, after, validator),
            new ItfSet(certificatesOf(process, before, validator)),
          );
      }
      const expected = comparableDriver(es);
      const actual = toDriver(process.driver, validator);
      for (const field of Object.keys(expected))
        differ(field, expected[field] ?? [], actual[field] ?? []);
      const { evidence } = asRecord(es["bk"]);
      differ("evidence", evidence ?? [], new ItfSet([...process.evidence.values()]));
    }
  }
  return { compared, differences };
}

interface NetworkState {
  readonly system: Itf | undefined;
  readonly hist: ItfRecord;
  readonly certificates: Itf | undefined;
}

function networkOf(state: ItfRecord, vars: readonly string[]): NetworkState {
  const find = (name: string): Itf | undefined => {
    const key = vars.find((one) => one.split("::").at(-1) === name && state[one] !== undefined);
    return key === undefined ? undefined : state[key];
  };
  const hist = find("_hist");
  const record = Array.isArray(hist)
    ? { validator: hist[0] as Itf, input: hist[1] as Itf, output: hist[2] as Itf }
    : asRecord(hist);
  return { system: find("system"), hist: record, certificates: find("certBuffer") };
}

function begin(es: ItfRecord, self: string): Process {
  const powers = asMap(es["valset"]).entries.map(([id, power]) => ({
    id: asText(id),
    power: Number(power),
  }));
  const names = powers.map(({ id }) => id);
  const driver = new HeightDriver<Vote>({
    self,
    height: Number(asRecord(es["cs"])["height"]),
    validators: new ValidatorSet(powers),
    // The specification's: one after the other, beginning with the second.
    proposerOf: (round) => names[(round + 1) % names.length] ?? "",
    roundsAheadMax: ROUNDS_AHEAD_MAX,
  });
  return { driver, evidence: new Map() };
}

function isHeightStart(node: ItfRecord): boolean {
  return asRecord(node["es"])["started"] === false;
}

function hasNewHeight(was: ItfRecord, is: ItfRecord): boolean {
  const height = (node: ItfRecord): Itf | undefined =>
    asRecord(asRecord(node["es"])["cs"])["height"];
  return height(was) !== height(is);
}

/** The environment delivers messages as well; a step of a process changes it, or is told for the first time. */
function hasStepped(before: NetworkState, after: NetworkState, validator: string): boolean {
  if (after.hist["validator"] !== validator) return false;
  if (canonical(before.hist) !== canonical(after.hist)) return true;
  const was = asRecord(asMap(before.system).get(validator));
  const is = asRecord(asMap(after.system).get(validator));
  if (canonical(was["es"] ?? []) !== canonical(is["es"] ?? [])) return true;
  return ["incomingVotes", "incomingProposals", "incomingCertificates"].some(
    (set) => asList(is[set]).length < asList(was[set]).length,
  );
}

function perform(
  process: Process,
  was: ItfRecord,
  input: Itf | undefined,
): DriverResult<Vote> | undefined {
  const { driver, evidence } = process;
  const { height } = driver.state;
  if (isHeightStart(was)) {
    if (asRecord(input)["tag"] === "NoDInput") return undefined;
    const certificates = asList(was["incomingCertificates"])
      .map((votes) => asList(votes).map(fromVote))
      .filter((votes) => votes.every((vote) => vote.height === height));
    return driver.step({
      kind: "start",
      votes: asList(was["incomingVotes"])
        .map(fromVote)
        .filter((vote) => vote.height === height),
      certificates,
      proposals: asList(was["incomingProposals"])
        .map(fromProposal)
        .filter((proposal) => proposal.height === height),
    });
  }
  // Asked for nothing, the specification drops a step change unseen; here it is looked at, and must lead to nothing.
  const followUp = driver.next();
  const nothing = followUp?.kind === "pending" ? undefined : followUp;
  const known = fromDriverInput(input) ?? nothing;
  if (known === undefined) return undefined;
  const result = driver.step(known);
  for (const pair of result.contradictions ?? []) {
    const set = new ItfSet(pair.map(toVote));
    evidence.set(canonical(set), set);
  }
  return result;
}

function decisionOf(
  { driver }: Process,
  { round, valueId }: { readonly round: number; readonly valueId: string },
): Itf {
  const proposal = driver.proposals(round).find((one) => one.valueId === valueId);
  const votes = driver.keeper.certificate(round, "precommit", valueId) ?? [];
  return {
    decision: proposal === undefined ? [] : toProposal(proposal),
    commit: new ItfSet(votes.map(toVote)),
  };
}

function lastOf(list: Itf | undefined): Itf {
  return asList(list).at(-1) ?? [];
}

function certificatesFor(state: NetworkState, validator: string): readonly Itf[] {
  return asList(asMap(state.certificates).get(validator));
}

function newCertificates(before: NetworkState, after: NetworkState, validator: string): Itf {
  const old = new Set(certificatesFor(before, validator).map(canonical));
  return new ItfSet(certificatesFor(after, validator).filter((one) => !old.has(canonical(one))));
}

/** The votes behind the value that the last vote or certificate completed a quorum for, unless others have them. */
function certificatesOf({ driver }: Process, before: NetworkState, validator: string): Itf[] {
  const { tally, keeper } = driver;
  if (tally === undefined || !("valueId" in tally)) return [];
  const kind = tally.kind === "polka-value" ? "prevote" : "precommit";
  const votes = keeper.certificate(tally.round, kind, tally.valueId) ?? [];
  const certificate = new ItfSet(votes.map(toVote));
  const isOld = certificatesFor(before, validator).some(
    (one) => canonical(one) === canonical(certificate),
  );
  return isOld ? [] : [certificate];
}
