// What one node does with what others say.
import t from "tap";
import { certificateOf } from "../../../../src/consensus/tendermint/certificate.ts";
import { faultOfEvidence, offenderOf } from "../../../../src/consensus/tendermint/evidence.ts";
import type { TendermintMessage } from "../../../../src/consensus/tendermint/messages.ts";
import { ROUND_MAX } from "../../../../src/consensus/tendermint/messages.ts";
import {
  defaultTendermintOptions,
  timeoutMs,
} from "../../../../src/consensus/tendermint/options.ts";
import { split } from "../../../../src/consensus/tendermint/parts.ts";
import { BallotVerifier } from "../../../../src/consensus/tendermint/signing.ts";
import type { Signer } from "../../../../src/platform/signer.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";
import { BenchNode, INSTANCE, votesIn } from "../../../support/tendermint/bench-node.ts";
import { worldOptions } from "../../../support/tendermint/world-parts.ts";

function started(turn: number): BenchNode {
  const bench = new BenchNode(turn);
  bench.start();
  return bench;
}

function firstOf(bench: BenchNode): Signer {
  const [peer] = bench.others;
  if (peer === undefined) throw new Error("nobody else");
  return peer;
}

/** Decides the height. @returns the name of the value */
function decide(bench: BenchNode, text: string): string {
  const valueId = bench.hearProposal(text);
  bench.hearVotes("prevote", valueId);
  bench.hearVotes("precommit", valueId);
  return valueId;
}

t.test("waits grow by round, up to a bound", async (t) => {
  const options = defaultTendermintOptions;
  t.equal(timeoutMs(options, "propose", 0), 3_000);
  t.equal(timeoutMs(options, "propose", 4), 5_000);
  t.equal(timeoutMs(options, "precommit", ROUND_MAX), options.timeoutMaxMs);
});

t.test("a height goes from a proposal to a decision with its proof", async (t) => {
  const bench = started(1);
  const valueId = bench.hearProposal("value");
  bench.hearVotes("prevote", valueId);
  const decided = bench.hearVotes("precommit", valueId).flatMap((effects) => effects.decide);
  t.equal(decided.length, 1);
  t.match(decided[0], { height: 1, round: 0, valueId });
  t.same(Buffer.from(decided[0]?.value ?? []).toString(), "value");
  const next = bench.do({ kind: "next-height", changes: [] });
  t.match(next.requests, [{ kind: "value", height: 2, round: 0 }], "now it is its turn");
});

t.test("an invalid value gets a vote for nil", async (t) => {
  const bench = started(1);
  const message = bench.proposal("value");
  bench.receive(bench.proposer(0), message);
  const { valueId } = message.proposal;
  const effects = bench.do({ kind: "verdict", height: 1, valueId, isValid: false });
  t.same(votesIn(effects, bench.self), ["prevote 0 nil"]);
});

t.test("proposals are refused by name", async (t) => {
  const bench = started(1);
  const proposer = bench.proposer(0);
  const fine = bench.proposal("value");
  const refusal = (message: TendermintMessage) => bench.refusalOf(proposer, message);
  const change = (part: Partial<typeof fine.proposal>) => ({
    ...fine,
    proposal: { ...fine.proposal, ...part },
  });
  t.equal(refusal(change({ round: -1 })), "malformed");
  t.equal(refusal(change({ round: ROUND_MAX + 1 })), "malformed");
  t.equal(refusal(change({ validRound: 0 })), "malformed");
  t.equal(refusal(change({ height: 1.5 })), "malformed");
  t.equal(refusal(change({ valueId: "value" })), "malformed");
  t.equal(refusal(change({ signature: new Uint8Array(3) })), "malformed");
  t.equal(refusal(change({ signature: new Uint8Array(64) })), "bad-signature");
  t.equal(refusal(change({ round: 1 })), "wrong-proposer");
  t.equal(refusal(bench.proposal("value", { by: bench.proposer(2) })), "wrong-proposer");
  const stranger = bench.keys.signer("stranger");
  t.equal(refusal(bench.proposal("value", { by: stranger })), "not-a-validator");
  t.equal(refusal(bench.proposal("value", { round: 100 })), "far-round");
  t.equal(refusal({ ...fine, manifest: { ...fine.manifest, bytes: 7 } }), "malformed");
  const { manifest, ...rest } = bench.proposal("other");
  t.equal(refusal({ ...fine, manifest, value: rest.value ?? new Uint8Array() }), "bad-manifest");
  const large = { ...fine.manifest, bytes: worldOptions.valueBytesMax + 1 };
  t.equal(refusal({ ...fine, manifest: large }), "malformed");
  t.equal(refusal({ ...fine, value: Buffer.from("VALUE") }), "bad-part");
  t.equal(refusal(fine), "duplicate", "its signature was right");
  const counts = bench.node.refusals();
  t.equal(counts.get("wrong-proposer"), 2);
  t.equal(counts.get("not-a-validator"), 1);
});

t.test("votes are refused by name", async (t) => {
  const bench = started(1);
  const peer = firstOf(bench);
  const valueId = bench.hearProposal("value");
  const vote = bench.vote(peer, "prevote", valueId);
  const refusal = (...votes: (typeof vote)[]) => bench.refusalOf(peer, { kind: "votes", votes });
  t.equal(refusal(), "malformed");
  t.equal(refusal({ ...vote, round: 0.5 }), "malformed");
  t.equal(refusal({ ...vote, validator: "" }), "malformed");
  t.equal(refusal(vote, { ...vote, height: 2 }), "malformed", "of two heights");
  t.equal(refusal({ ...vote, signature: new Uint8Array(64) }), "bad-signature");
  t.equal(refusal(bench.vote(bench.keys.signer("stranger"), "prevote", null)), "not-a-validator");
  t.equal(refusal(vote), undefined);
  t.equal(refusal(vote), "duplicate");
  for (let round = 1; round <= worldOptions.roundsAheadMax + 1; round++)
    t.equal(refusal(bench.vote(peer, "prevote", null, { round })), undefined);
  t.equal(refusal(bench.vote(peer, "prevote", null, { round: 1 })), "too-many");
});

t.test("parts and certificates are refused by name", async (t) => {
  const bench = started(1);
  const peer = firstOf(bench);
  const value = Buffer.alloc(3 * worldOptions.partBytes, "x");
  const { valueId, parts, manifest } = split(value, worldOptions.partBytes, plainHasher);
  const [part, second, third] = parts;
  if (part === undefined || second === undefined || third === undefined) throw new Error("parts");
  const refusal = (change: Partial<typeof part>) =>
    bench.refusalOf(peer, { kind: "part", height: 1, valueId, part: { ...part, ...change } });
  t.equal(refusal({}), "unwanted-part");
  t.equal(bench.refusalOf(bench.proposer(0), bench.proposal(value.toString())), undefined);
  t.equal(refusal({ index: -1 }), "malformed");
  t.equal(refusal({ bytes: Buffer.alloc(worldOptions.partBytes + 1) }), "malformed");
  t.equal(refusal({ proof: ["short"] }), "malformed");
  t.equal(refusal({ proof: [] }), "bad-part");
  t.equal(refusal({}), undefined);
  t.equal(refusal({}), "duplicate");
  bench.receive(peer, { kind: "part", height: 1, valueId, part: second });
  const whole = bench.receive(peer, { kind: "part", height: 1, valueId, part: third });
  t.match(whole.requests, [{ kind: "verdict", valueId }], "now it is whole");

  const precommits = bench.others.map((by) => bench.vote(by, "precommit", valueId));
  const certificate = certificateOf(precommits);
  const decision = { kind: "decision", certificate, manifest } as const;
  const few = certificateOf(precommits.slice(1));
  t.equal(bench.refusalOf(peer, { ...decision, certificate: few }), "bad-certificate");
  const other = bench.proposal("other").manifest;
  t.equal(bench.refusalOf(peer, { ...decision, manifest: other }), "bad-manifest");
  t.equal(bench.refusalOf(peer, { kind: "polka", certificate }), "malformed");
  t.equal(bench.receive(peer, decision).decide[0]?.valueId, valueId, "a certificate is enough");
});

t.test("a lie about an earlier round gets nobody's vote", async (t) => {
  const bench = started(3);
  bench.timeout("propose", 0);
  bench.hearVotes("prevote", null);
  bench.hearVotes("precommit", null);
  bench.timeout("precommit", 0);
  const message = bench.proposal("value", { round: 1, validRound: 0 });
  const { valueId } = message.proposal;
  const polka = certificateOf([bench.vote(bench.proposer(1), "prevote", valueId)]);
  t.equal(bench.refusalOf(bench.proposer(1), { ...message, polka }), "bad-certificate");
  const judged = bench.do({ kind: "verdict", height: 1, valueId, isValid: true });
  t.same(votesIn(judged, bench.self), [], "it waits for the prevotes that are said to exist");
  t.same(votesIn(bench.timeout("propose", 1), bench.self), ["prevote 1 nil"]);
});

t.test("equivocation is told once, with proof, and can be checked by anybody", async (t) => {
  const bench = started(1);
  const verifier = new BallotVerifier(bench.keys.signer("anybody"), INSTANCE);
  const liar = bench.proposer(0);
  const one = bench.proposal("one");
  const two = bench.proposal("two");
  bench.receive(liar, one);
  const proposals = bench.receive(liar, two).evidence;
  t.equal(proposals.length, 1);
  const values = [one.proposal.valueId, two.proposal.valueId, null];
  const votes = values.flatMap(
    (valueId) =>
      bench.receive(liar, { kind: "votes", votes: [bench.vote(liar, "prevote", valueId)] })
        .evidence,
  );
  t.equal(votes.length, 1, "a third word adds nothing");
  for (const evidence of [...proposals, ...votes]) {
    t.equal(offenderOf(evidence), liar.peerId);
    t.equal(faultOfEvidence(evidence, verifier), undefined);
  }
  t.equal(bench.refusalOf(liar, bench.proposal("three")), "too-many");
});

t.test("who is late gets the decision, but not at once, and not without end", async (t) => {
  const bench = started(1);
  decide(bench, "value");
  const peer = firstOf(bench);
  const late = { kind: "votes", votes: [bench.vote(peer, "prevote", null)] } as const;
  const fresh = bench.receive(peer, late);
  t.match(fresh.refused, [{ kind: "past-height" }]);
  t.same(fresh.send, [], "the others may be about to decide as well");
  bench.timeout("rebroadcast", 0);
  const answer = bench.receive(peer, late).send;
  t.match(answer, [{ to: peer.peerId, message: { kind: "decision" } }]);
  let answers = 1;
  for (let ask = 0; ask < 100; ask++)
    answers += bench.receive(peer, { kind: "ask", height: 1 }).send.length;
  t.equal(answers, worldOptions.answersToPeerMax);
});

t.test("who is far behind asks, and a decision of another is taken with its proof", async (t) => {
  const ahead = started(1);
  const valueId = decide(ahead, "value");
  const behind = started(2);
  const peer = firstOf(behind);
  const votes = [behind.vote(peer, "prevote", null, { height: 9 })];
  const effects = behind.receive(peer, { kind: "votes", votes });
  t.match(effects.refused, [{ kind: "far-height" }]);
  t.match(effects.send, [{ to: peer.peerId, message: { kind: "ask", height: 1 } }]);
  t.same(behind.receive(peer, { kind: "votes", votes }).send, [], "it asks once");
  const [answer] = ahead.receive(behind.self, { kind: "ask", height: 1 }).send;
  if (answer === undefined) throw new Error("no answer");
  const decided = behind.receive(ahead.self, answer.message).decide;
  t.match(decided, [{ height: 1, valueId }]);
  behind.do({ kind: "next-height", changes: [] });
  t.equal(behind.node.state.height, 2);
});

t.test("what is older than the kept decisions is for the host", async (t) => {
  const bench = started(1);
  const peer = firstOf(bench);
  for (let height = 1; height <= worldOptions.decisionsKeptMax + 1; height++) {
    const message = bench.proposal(`value ${height}`, { height, by: firstOf(bench) });
    const { valueId } = message.proposal;
    const certificate = certificateOf(
      bench.others.map((by) => bench.vote(by, "precommit", valueId, { height })),
    );
    const { manifest, value = new Uint8Array() } = message;
    bench.receive(peer, { kind: "decision", certificate, manifest, value });
    bench.do({ kind: "next-height", changes: [] });
  }
  const effects = bench.receive(peer, { kind: "ask", height: 1 });
  t.match(effects.requests, [{ kind: "history", height: 1, peer: peer.peerId }]);
  t.same(effects.send, []);
  t.match(bench.receive(peer, { kind: "ask", height: 2 }).send, [
    { message: { kind: "decision" } },
  ]);
});

t.test("messages of the next height are kept for it, so many of each peer", async (t) => {
  const bench = started(1);
  const peer = firstOf(bench);
  const refusals = Array.from({ length: worldOptions.futureMessagesOfPeerMax + 5 }, (_, round) =>
    bench.refusalOf(peer, {
      kind: "votes",
      votes: [bench.vote(peer, "prevote", null, { height: 2, round })],
    }),
  );
  t.equal(refusals.filter((kind) => kind === "too-many").length, 5);
  const others = bench.others.filter((other) => other !== peer);
  for (const by of others)
    bench.receive(by, {
      kind: "votes",
      votes: [bench.vote(by, "precommit", null, { height: 2, round: 3 })],
    });
  decide(bench, "value");
  bench.do({ kind: "next-height", changes: [] });
  t.match(bench.node.state, { height: 2, round: 0 }, "two of four is not a reason to skip there");
  bench.receive(peer, {
    kind: "votes",
    votes: [bench.vote(peer, "precommit", null, { height: 2, round: 3 })],
  });
  t.equal(bench.node.state.round, 3);
});

t.test("one that follows decides, and says nothing in its own name", async (t) => {
  const bench = started(1);
  decide(bench, "value");
  bench.do({ kind: "next-height", changes: [{ id: bench.self.peerId, power: 0 }] });
  t.notOk(bench.node.rotation.validators.has(bench.self.peerId));
  const effects = bench.timeout("propose", 0);
  t.same(votesIn(effects, bench.self), []);
  t.equal(bench.node.state.step, "prevote");
});

t.test("misuse by the host is an error that says so", async (t) => {
  const bench = new BenchNode(0);
  t.throws(() => bench.timeout("propose", 0), /has not started/u);
  bench.start();
  t.throws(() => bench.start(), /has started/u);
  t.throws(() => bench.do({ kind: "next-height", changes: [] }), /not decided/u);
  const value = new Uint8Array(worldOptions.valueBytesMax + 1);
  t.throws(() => bench.do({ kind: "value", height: 1, round: 0, value }), /at most/u);
});
