// What third parties can check: signatures, certificates of decisions, evidence of lies.
import t from "tap";
import {
  certificateOf,
  faultOfCertificate,
  votesOf,
} from "../../../../src/consensus/tendermint/certificate.ts";
import {
  type Evidence,
  EvidencePool,
  faultOfEvidence,
  offenderOf,
} from "../../../../src/consensus/tendermint/evidence.ts";
import {
  BallotVerifier,
  signProposal,
  signVote,
} from "../../../../src/consensus/tendermint/signing.ts";
import { ValidatorSet } from "../../../../src/consensus/tendermint/validators.ts";
import type { Proposal, SignedVote, Vote } from "../../../../src/consensus/tendermint/vote.ts";
import type { Signer } from "../../../../src/platform/signer.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";

const INSTANCE = "committee/1";
const VALUE = "a".repeat(64);
const OTHER = "b".repeat(64);
const keys = new VirtualKeys();
const signers = ["a", "b", "c", "d"].map((name) => keys.signer(name));
const [a, b, c, d] = signers as [Signer, Signer, Signer, Signer];
const verifier = new BallotVerifier(a, INSTANCE);
const validators = new ValidatorSet([
  { id: a.peerId, power: 1 },
  { id: b.peerId, power: 2 },
  { id: c.peerId, power: 3 },
  { id: d.peerId, power: 3 },
]);

function voteBy(signer: Signer, change: Partial<Vote> = {}, instance = INSTANCE): SignedVote {
  return signVote(signer, instance, {
    kind: "precommit",
    height: 7,
    round: 2,
    valueId: VALUE,
    validator: signer.peerId,
    ...change,
  });
}

function proposalBy(signer: Signer, change: Partial<Proposal> = {}) {
  return signProposal(signer, INSTANCE, {
    height: 7,
    round: 2,
    valueId: VALUE,
    validRound: -1,
    proposer: signer.peerId,
    ...change,
  });
}

t.test("a signature is for one thing, said by one validator in one instance", async (t) => {
  const vote = voteBy(a);
  t.ok(verifier.isSignedVote(vote));
  const changes: Partial<SignedVote>[] = [
    { kind: "prevote" },
    { height: 8 },
    { round: 3 },
    { valueId: OTHER },
    { valueId: null },
    { validator: b.peerId },
    { validator: "nobody" },
    { signature: new Uint8Array(64) },
  ];
  for (const change of changes)
    t.notOk(verifier.isSignedVote({ ...vote, ...change }), Object.keys(change).join());
  t.notOk(new BallotVerifier(a, "committee/2").isSignedVote(vote), "another instance");
  const proposal = proposalBy(a);
  t.ok(verifier.isSignedProposal(proposal));
  t.notOk(verifier.isSignedProposal({ ...proposal, validRound: 0 }));
  t.notOk(
    verifier.isSignedProposal({ ...proposal, signature: vote.signature }),
    "a vote is no proposal",
  );
});

t.test("more than 2/3 of the power proves a decision to who knows the validators", async (t) => {
  const certificate = certificateOf([voteBy(b), voteBy(c), voteBy(d)]);
  t.equal(faultOfCertificate(certificate, validators, verifier), undefined);
  t.same(votesOf(certificate), [voteBy(b), voteBy(c), voteBy(d)]);
  const fault = (votes: SignedVote[]) =>
    faultOfCertificate(certificateOf(votes), validators, verifier);
  t.equal(fault([voteBy(c), voteBy(d)]), "too-little-power", "6 of 9");
  t.equal(fault([voteBy(a), voteBy(c), voteBy(d)]), undefined, "7 of 9");
  t.equal(fault([voteBy(c), voteBy(d), voteBy(d)]), "repeated-signer");
  const stranger = keys.signer("stranger");
  t.equal(fault([voteBy(c), voteBy(d), voteBy(stranger)]), "not-a-validator");
  const forged = { ...voteBy(b), signature: voteBy(c).signature };
  t.equal(fault([forged, voteBy(c), voteBy(d)]), "bad-signature");
  const moved = { ...certificate, round: 3 };
  t.equal(faultOfCertificate(moved, validators, verifier), "bad-signature");
  t.equal(
    faultOfCertificate({ ...certificate, kind: "prevote" }, validators, verifier),
    "bad-signature",
  );
});

t.test("there is no certificate of nothing", async (t) => {
  t.throws(() => certificateOf([]), /votes for a value/u);
  t.throws(() => certificateOf([voteBy(a, { valueId: null })]), /votes for a value/u);
});

t.test("two words that contradict each other prove a lie, to anybody", async (t) => {
  const votes: Evidence = { kind: "votes", first: voteBy(b), second: voteBy(b, { valueId: null }) };
  t.equal(faultOfEvidence(votes, verifier), undefined);
  t.equal(offenderOf(votes), b.peerId);
  const proposals: Evidence = {
    kind: "proposals",
    first: proposalBy(c),
    second: proposalBy(c, { validRound: 1 }),
  };
  t.equal(faultOfEvidence(proposals, verifier), undefined);
  t.equal(offenderOf(proposals), c.peerId);
});

t.test("what an honest validator says is no evidence", async (t) => {
  const fault = (first: SignedVote, second: SignedVote) =>
    faultOfEvidence({ kind: "votes", first, second }, verifier);
  t.equal(fault(voteBy(a), voteBy(a)), "no-contradiction");
  t.equal(fault(voteBy(a), voteBy(b, { valueId: OTHER })), "no-contradiction");
  t.equal(fault(voteBy(a), voteBy(a, { valueId: OTHER, round: 3 })), "no-contradiction");
  t.equal(fault(voteBy(a), voteBy(a, { valueId: OTHER, height: 8 })), "no-contradiction");
  t.equal(fault(voteBy(a), voteBy(a, { valueId: OTHER, kind: "prevote" })), "no-contradiction");
  t.equal(fault(voteBy(a), { ...voteBy(a), valueId: OTHER }), "bad-signature");
  t.equal(fault(voteBy(a), voteBy(a, { valueId: OTHER }, "committee/2")), "bad-signature");
  const first = proposalBy(a);
  const differ = (second: typeof first) =>
    faultOfEvidence({ kind: "proposals", first, second }, verifier);
  t.equal(differ(first), "no-contradiction");
  t.equal(differ(proposalBy(a, { round: 3 })), "no-contradiction");
  t.equal(differ(proposalBy(b, { valueId: OTHER })), "no-contradiction");
  t.equal(differ({ ...first, valueId: OTHER }), "bad-signature");
});

t.test("each offence is handed out once, and not all are remembered for ever", async (t) => {
  const pool = new EvidencePool(2);
  const offence = (round: number): Evidence => ({
    kind: "votes",
    first: voteBy(b, { round }),
    second: voteBy(b, { round, valueId: OTHER }),
  });
  t.ok(pool.add(offence(1)));
  t.notOk(pool.add(offence(1)));
  t.ok(pool.add(offence(2)));
  t.ok(pool.add(offence(3)));
  t.ok(pool.add(offence(1)), "the oldest one was forgotten");
});
