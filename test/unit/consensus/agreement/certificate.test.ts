import t from "tap";
import {
  type Authority,
  type CertifiedDecision,
  decodeDecision,
  encodeDecision,
  faultOfCertificate,
  faultOfDecision,
  signStatement,
} from "../../../../src/consensus/agreement/certificate.ts";
import {
  encodeMemberList,
  type MemberList,
} from "../../../../src/consensus/agreement/member-list.ts";
import { followMembers } from "../../../../src/consensus/agreement/roster-chain.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { TestSigner } from "../../../support/access.ts";
import { GROUP, idOf } from "../../../support/agreement/box.ts";

const signers = Array.from({ length: 6 }, (_, at) => new TestSigner(`member ${at}`)).sort(
  (one, other) => (one.peerId < other.peerId ? -1 : 1),
);
const reader = new TestSigner("reader");

const listOf = (epoch: number, ...places: readonly number[]): MemberList => ({
  epoch,
  members: places.map((at) => signers[at]?.peerId ?? ""),
});

function certify(
  value: Uint8Array,
  terms: { epoch?: number; topic?: string; group?: string },
  by: readonly number[],
): CertifiedDecision {
  const { epoch = 1, topic = "notes", group = GROUP } = terms;
  const digest = nodeHasher.sha256Hex(value);
  const statement = { group, epoch, number: 3, proposalId: idOf(5), topic, digest };
  const signatures = by.flatMap((at) => {
    const signer = signers[at];
    return signer === undefined ? [] : [signStatement(signer, statement)];
  });
  return { value, certificate: { ...statement, signatures } };
}

const value = new TextEncoder().encode("value");
const authority: Authority = { group: GROUP, protocol: "pbft", list: listOf(1, 0, 1, 2, 3) };

t.test("with real keys: a certificate proves what a quorum signed, and nothing else", async (t) => {
  const decision = certify(value, {}, [3, 0, 2]);
  const fault = (change: object): string | undefined =>
    faultOfCertificate({ ...decision.certificate, ...change }, authority, reader);
  const { signatures } = decision.certificate;
  t.equal(fault({}), undefined);
  t.equal(fault({ group: idOf(1) }), "other-group");
  t.equal(fault({ epoch: 2 }), "other-epoch");
  t.equal(fault({ signatures: signatures.slice(1) }), "too-few-signatures");
  t.equal(fault({ signatures: [...signatures, ...signatures] }), "repeated-signer");
  t.equal(
    fault({ signatures: certify(value, {}, [0, 1, 4]).certificate.signatures }),
    "not-a-member",
  );
  for (const change of [
    { number: 4 },
    { proposalId: idOf(6) },
    { topic: "note" },
    { digest: nodeHasher.sha256Hex("other") },
    { signatures: signatures.map((each) => ({ ...each, signature: new Uint8Array(64) })) },
    { signatures: signatures.map((each) => ({ ...each, signature: each.signature.slice(1) })) },
  ])
    t.equal(fault(change), "forged");
  const majority = { ...authority, protocol: "raft" } as const;
  const few = certify(value, {}, [0, 1]).certificate;
  t.equal(faultOfCertificate(few, majority, reader), "too-few-signatures", "two of four are none");
  const other = { ...decision, value: new Uint8Array(3) };
  t.equal(faultOfDecision(other, authority, reader, nodeHasher), "other-value");
});

t.test("a certificate travels, and what is none is told apart", async (t) => {
  const decision = certify(value, {}, [0, 1, 2]);
  const sent = encodeDecision(reader, decision);
  const read = decodeDecision(reader, sent);
  t.equal(read && faultOfDecision(read, authority, reader, nodeHasher), undefined);
  t.same(read && Buffer.from(read.value), Buffer.from(value));
  t.same(
    read?.certificate.signatures.map(({ signer }) => signer),
    listOf(1, 0, 1, 2).members,
  );
  const certificate = decision.certificate;
  for (const garbage of [
    new Uint8Array(),
    Uint8Array.of(255, 1),
    sent.subarray(0, sent.length - 5),
    encodeDecision(reader, { value, certificate: { ...certificate, group: "00" } }),
    encodeDecision(reader, { value, certificate: { ...certificate, proposalId: "" } }),
    encodeDecision(reader, { value, certificate: { ...certificate, digest: "11" } }),
    encodeDecision(reader, { value, certificate: { ...certificate, topic: "No topic" } }),
    encodeDecision(reader, { value: new Uint8Array(100_000), certificate }),
    encodeDecision(
      reader,
      certify(
        value,
        {},
        Array.from({ length: 65 }, () => 0),
      ),
    ),
  ])
    t.equal(decodeDecision(reader, garbage), undefined);
});

t.test("who knows the first members follows to the present ones", async (t) => {
  const lists = [
    listOf(1, 0, 1, 2, 3),
    listOf(2, 0, 1, 2, 3, 4),
    listOf(3, 1, 2, 3, 4),
    listOf(4, 1, 2, 3, 4, 5),
  ];
  const link = (to: number, by: readonly number[], topic = "members"): CertifiedDecision => {
    const list = lists[to] ?? lists[0]!;
    return certify(encodeMemberList(reader, list), { epoch: to, topic }, by);
  };
  const links = [link(1, [0, 1, 2]), link(2, [1, 2, 3, 4]), link(3, [1, 2, 4])];
  const follow = (changes: readonly CertifiedDecision[], from = lists[0]!) =>
    followMembers({ ...authority, list: from }, changes, reader, nodeHasher);
  t.same(follow(links), { list: lists[3], fault: undefined });
  t.same(follow([]), { list: lists[0], fault: undefined });
  t.same(follow(links, lists[2]), { list: lists[3], fault: undefined }, "from any list on the way");
  t.same(follow([...links, ...links]).list, lists[3], "what is known is passed over");
  t.same(follow([links[0]!, links[2]!]), { list: lists[1], fault: "other-epoch" }, "skipped");
  t.same(follow([links[1]!, links[0]!]), { list: lists[0], fault: "other-epoch" }, "reordered");
  t.same(follow([link(1, [0, 1])]), { list: lists[0], fault: "too-few-signatures" });
  t.same(follow([link(1, [0, 1, 4])]).fault, "not-a-member", "who comes has no say in it");
  t.same(follow([links[0]!, link(2, [0, 1, 2])]).fault, "too-few-signatures", "four of five");
  t.same(follow([link(1, [0, 1, 2], "notes")]).fault, "other-topic");
  const forged = { ...links[0]!, value: encodeMemberList(reader, listOf(2, 5)) };
  t.same(follow([forged]), { list: lists[0], fault: "other-value" });
  const far = certify(encodeMemberList(reader, listOf(9, 5)), { topic: "members" }, [0, 1, 2]);
  t.same(follow([far]).fault, "skipped", "an epoch is left out");
  const none = certify(encodeMemberList(reader, listOf(2)), { topic: "members" }, [0, 1, 2]);
  t.same(follow([none]).fault, "malformed", "a group of nobody");
  const unsorted = certify(
    encodeMemberList(reader, listOf(2, 3, 0)),
    { topic: "members" },
    [0, 1, 2],
  );
  t.same(follow([unsorted]).fault, "malformed");
});
