// What is on disk before it is said, and what a node knows after a restart.
import t from "tap";
import { compact, recover, type WalEntry } from "../../../../src/consensus/tendermint/wal.ts";
import { BenchNode, votesIn } from "../../../support/tendermint/bench-node.ts";
import { worldOptions } from "../../../support/tendermint/world-parts.ts";

const kinds = (entries: readonly WalEntry[]): string[] => entries.map(({ kind }) => kind);

t.test("a word is written down with what makes it binding, before it is sent", async (t) => {
  const bench = new BenchNode(1);
  t.same(kinds(bench.start().persist), ["height"]);
  const message = bench.proposal("value");
  const { valueId } = message.proposal;
  const asked = bench.receive(bench.proposer(0), message);
  t.equal(asked.requests[0]?.kind, "verdict");
  const prevote = bench.do({ kind: "verdict", height: 1, valueId, isValid: true });
  t.same(kinds(prevote.persist), ["vote"]);
  t.same(votesIn(prevote, bench.self), [`prevote 0 ${valueId.slice(0, 6)}`]);
  const effects = bench.hearVotes("prevote", valueId);
  const precommit = effects.find(({ persist }) => persist.length > 0);
  t.same(kinds(precommit?.persist ?? []), ["value", "polka", "vote"]);
});

t.test("after a restart at any point a node says what it said, and nothing else", async (t) => {
  for (const stage of ["prevote", "precommit"] as const) {
    const bench = new BenchNode(1);
    bench.start();
    const valueId = bench.hearProposal("value");
    if (stage === "precommit") bench.hearVotes("prevote", valueId);
    const again = bench.restart();
    t.equal(bench.node.state.step, stage);
    const said = votesIn(again, bench.self);
    t.ok(said.includes(`prevote 0 ${valueId.slice(0, 6)}`));
    t.same(again.persist, [], "nothing new was said");
    const other = bench.hearProposal("another");
    const late = [bench.timeout("propose", 0), ...bench.hearVotes("prevote", other)];
    const words = late.flatMap((effects) => votesIn(effects, bench.self));
    t.notOk(
      words.some((word) => word.startsWith("prevote")),
      "no second prevote",
    );
  }
});

t.test("a lock outlives a restart, and so does the proof that it is right", async (t) => {
  const bench = new BenchNode(1);
  bench.start();
  const valueId = bench.hearProposal("value");
  bench.hearVotes("prevote", valueId);
  bench.restart();
  t.match(bench.node.state, { lockedRound: 0, lockedValue: valueId, validRound: 0 });
  bench.hearVotes("precommit", null);
  const entered = bench.timeout("precommit", 0);
  const proposed = entered.send.flatMap(({ message }) =>
    message.kind === "proposal" ? [message] : [],
  );
  t.equal(proposed[0]?.proposal.valueId, valueId, "it proposes what it is locked on");
  t.equal(proposed[0]?.proposal.validRound, 0);
  t.ok((proposed[0]?.polka?.signatures.length ?? 0) >= 3, "with the prevotes");
});

t.test("an own proposal is the same after a restart", async (t) => {
  const bench = new BenchNode(0);
  const asked = bench.start();
  t.same(asked.requests, [{ kind: "value", height: 1, round: 0 }]);
  const made = bench.do({ kind: "value", height: 1, round: 0, value: Buffer.from("mine") });
  const first = made.send.find(({ message }) => message.kind === "proposal")?.message;
  t.same(kinds(made.persist), ["value", "proposal", "vote"]);
  const again = bench.restart();
  t.notOk(
    again.requests.some(({ kind }) => kind === "value"),
    "it wants no other value",
  );
  t.same(again.send.find(({ message }) => message.kind === "proposal")?.message, first);
  const late = bench.do({ kind: "value", height: 1, round: 0, value: Buffer.from("other") });
  t.same(late.send, []);
});

t.test("a proposal that was written, and no vote yet, leads to the vote", async (t) => {
  const bench = new BenchNode(0);
  bench.start();
  bench.do({ kind: "value", height: 1, round: 0, value: Buffer.from("mine") });
  bench.log.pop();
  const again = bench.restart();
  t.match(votesIn(again, bench.self).join(), /^prevote 0/u);
});

t.test("a decision outlives a restart, and is told again until the next height", async (t) => {
  const bench = new BenchNode(1);
  bench.start();
  const valueId = bench.hearProposal("value");
  bench.hearVotes("prevote", valueId);
  const decided = bench.hearVotes("precommit", valueId).flatMap(({ decide }) => decide);
  t.equal(decided[0]?.valueId, valueId);
  const again = bench.restart();
  t.same(again.decide, decided);
  t.same(again.persist, []);
  bench.do({ kind: "next-height", changes: [] });
  bench.restart();
  t.equal(bench.node.state.height, 2);
  t.equal(bench.node.decision, undefined);
  const [peer] = bench.others;
  if (peer === undefined) throw new Error("nobody else");
  const answer = bench.receive(peer, { kind: "ask", height: 1 });
  t.equal(answer.send[0]?.message.kind, "decision", "and those who come late get it");
});

t.test("a shortened log leads to the same state", async (t) => {
  const bench = new BenchNode(3);
  bench.start();
  const valueId = bench.hearProposal("value");
  bench.hearVotes("prevote", valueId);
  for (let round = 0; round < 6; round++) {
    if (round > 0) bench.timeout("propose", round);
    if (round > 0) bench.hearVotes("prevote", null, round);
    bench.hearVotes("precommit", null, round);
    bench.timeout("precommit", round);
  }
  const short = compact(bench.log, worldOptions.decisionsKeptMax);
  t.ok(short.length < bench.log.length / 2, `${short.length} of ${bench.log.length} entries`);
  const whole = new BenchNode(3, bench.log);
  const shortened = new BenchNode(3, short);
  t.same(shortened.start(), whole.start());
  t.same(shortened.node.state, whole.node.state);
  t.equal(shortened.node.state.lockedValue, valueId);
  t.same(compact([], 3), []);
});

t.test("a log that no node writes is refused", async (t) => {
  const bench = new BenchNode(1);
  bench.start();
  const valueId = bench.hearProposal("value");
  const [height, vote] = bench.log;
  if (height === undefined || vote === undefined) throw new Error("no log");
  t.equal(recover([], 1), undefined);
  t.throws(() => recover([vote], 1), /is not after the start/u);
  t.throws(() => recover([height, height], 1), /comes after/u);
  bench.hearVotes("prevote", valueId);
  bench.hearVotes("precommit", valueId);
  const decision = bench.log.find(({ kind }) => kind === "decision");
  if (decision === undefined) throw new Error("no decision");
  t.throws(() => recover([decision], 1), /no height/u);
});
