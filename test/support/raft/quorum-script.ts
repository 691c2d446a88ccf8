import {
  type AcknowledgedIndex,
  jointIndex,
  jointVote,
  majorityIndex,
  majorityVote,
  type VoteOutcome,
} from "../../../src/consensus/raft/quorum.ts";
import { type Directive, valuesOf } from "./script.ts";

const OUTCOMES: Readonly<Record<VoteOutcome, string>> = {
  won: "VoteWon",
  pending: "VotePending",
  lost: "VoteLost",
};

/** Answers a command of a quorum script. Two ways to ask the same have to give the same. */
export function runQuorum(directive: Directive): string {
  const voters = valuesOf(directive, "cfg").map(Number);
  const joined = valuesOf(directive, "cfgj");
  const outgoing = joined[0] === "zero" ? [] : joined.map(Number);
  const isJoint = joined.length > 0;
  const ids = [...new Set([...voters, ...outgoing])];
  const said = valuesOf(directive, directive.command === "vote" ? "votes" : "idx");
  if (said.length !== ids.length) throw new Error(`line ${directive.line}: not as many as voters`);
  const known = new Map(
    ids.map((id, at) => [id, said[at]] as const).filter(([, one]) => one !== "_"),
  );
  if (directive.command === "vote") {
    const voteOf = (id: number): boolean | undefined =>
      known.has(id) ? known.get(id) === "y" : undefined;
    const one = isJoint ? jointVote({ voters, outgoing }, voteOf) : majorityVote(voters, voteOf);
    const other = jointVote({ voters: outgoing, outgoing: voters }, voteOf);
    return one === other
      ? OUTCOMES[one]
      : `${OUTCOMES[one]}, the other way round ${OUTCOMES[other]}`;
  }
  const indexOf = (id: number): number | undefined =>
    known.has(id) ? Number(known.get(id)) : undefined;
  const one = isJoint ? jointIndex({ voters, outgoing }, indexOf) : majorityIndex(voters, indexOf);
  const other = jointIndex({ voters: outgoing, outgoing: voters }, indexOf);
  const table = tableText(isJoint ? ids : voters, indexOf);
  const text = one === Number.POSITIVE_INFINITY ? "∞" : String(one);
  return `${table}${text}${one === other ? "" : ` the other way round ${other}`}`;
}

/** A bar for every voter, as long as there are others with a smaller index. */
function tableText(ids: readonly number[], indexOf: AcknowledgedIndex): string {
  if (ids.length === 0) return "<empty majority quorum>";
  const sorted = ids.toSorted((a, b) => a - b);
  const of = (id: number): number => indexOf(id) ?? 0;
  const rows = sorted.map((id) => {
    const bar = sorted.filter((other) => of(other) < of(id)).length;
    const known = `${"x".repeat(bar)}>${" ".repeat(ids.length - bar)}`;
    const head = indexOf(id) === undefined ? `?${" ".repeat(ids.length)}` : known;
    return `${head} ${String(of(id)).padStart(5)}    (id=${id})\n`;
  });
  return `${" ".repeat(ids.length)}    idx\n${rows.join("")}`;
}
