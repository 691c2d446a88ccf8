import t from "tap";
import { decodeAnswers } from "../../../../src/consensus/agreement/answers.ts";
import { faultOfCertificate } from "../../../../src/consensus/agreement/certificate.ts";
import { isProof } from "../../../../src/consensus/agreement/evidence.ts";
import {
  DECISIONS_BYTES_MAX,
  DECISIONS_MAX,
  ENTRY_BYTES_MAX,
  EVIDENCE_MAX,
  ITEMS_MAX,
  LINKS_MAX,
  MEMBERS_MAX,
  OPEN_BYTES_OF_ONE_MAX,
  OPEN_MAX,
  OPEN_OF_ONE_MAX,
  RECENT_IDS_MAX,
  VALUE_BYTES_MAX,
} from "../../../../src/consensus/agreement/limits.ts";
import { encodeMemberList } from "../../../../src/consensus/agreement/member-list.ts";
import { signWord } from "../../../../src/consensus/agreement/word.ts";
import { BoxUnderTest, GROUP, idOf } from "../../../support/agreement/box.ts";

const ID = idOf(1);

t.test(
  "a quorum of the members accepts; what comes later is told that it is decided",
  async (t) => {
    for (const [protocol, members, quorum] of [
      ["raft", "a", 1],
      ["raft", "abc", 2],
      ["raft", "abcd", 3],
      ["pbft", "abcd", 3],
      ["tendermint", "abcde", 4],
      ["pbft", "abcdefg", 5],
    ] as const) {
      const under = new BoxUnderTest(protocol, members);
      t.same(under.put(under.proposal("a", ID)), ["taken"]);
      for (const [at, name] of Array.from(members).entries()) {
        t.same(under.put(under.ballotVote(name, ID, "accept")), [
          at < quorum ? "taken" : "decided",
        ]);
        t.equal(under.closed.length, at + 1 < quorum ? 0 : 1, `${protocol}, ${members}: ${name}`);
      }
      t.match(under.closed, [
        { outcome: "accepted", number: 1, proposer: under.peer("a"), epoch: 1 },
      ]);
      t.equal(under.box.open.size, 0);
    }
  },
);

t.test("it is rejected as soon as it can not be accepted any more", async (t) => {
  const under = new BoxUnderTest("pbft", "abcd");
  under.put(under.proposal("a", ID), under.ballotVote("a", ID, "accept"));
  under.put(under.ballotVote("b", ID, "reject", "value", "too wet"));
  t.equal(under.box.open.size, 1);
  under.put(under.ballotVote("c", ID, "reject"));
  t.match(under.closed, [{ outcome: "rejected", reasons: ["too wet"] }]);
  t.same(under.put(under.voucher("a", ID)), ["not-certifiable"]);
});

t.test(
  "everything that nobody may say is refused by name, and leaves nothing behind",
  async (t) => {
    const under = new BoxUnderTest("raft", "abc");
    const { box } = under;
    t.same(under.put(under.proposal("a", ID), under.ballotVote("a", ID, "accept")), [
      "taken",
      "taken",
    ]);
    const before = Buffer.from(box.snapshot());
    const forged = signWord(under.signer("b"), GROUP, ID, { kind: "expire" }).signed;
    const vote = under.ballotVote("b", ID, "accept");
    const flipped =
      vote.kind === "word" ? { ...vote.signed, publicKey: under.signer("c").publicKey } : forged;
    const items = [
      [under.proposal("x", idOf(2)), "not-a-member"],
      [under.ballotVote("x", ID, "accept"), "not-a-member"],
      [under.word("x", ID, { kind: "expire" }), "not-a-member"],
      [under.word("b", ID, { kind: "expire" }, idOf(9)), "other-group"],
      [{ kind: "word", signed: { ...forged, signature: new Uint8Array(64) } }, "forged"],
      [{ kind: "word", signed: { ...forged, signature: new Uint8Array(3) } }, "forged"],
      [{ kind: "word", signed: flipped }, "forged"],
      [{ kind: "word", signed: { ...forged, publicKey: new Uint8Array(5) } }, "malformed"],
      [{ kind: "word", signed: { ...forged, word: Uint8Array.of(255, 255) } }, "malformed"],
      [under.proposal("b", ID), "known-proposal"],
      [under.proposal("b", idOf(2), { topic: "members" }), "reserved-topic"],
      [under.proposal("b", idOf(2), { after: 7 }), "malformed"],
      [under.ballotVote("b", idOf(3), "accept"), "unknown-proposal"],
      [under.ballotVote("b", ID, "accept", "another value"), "other-value"],
      [under.ballotVote("a", ID, "accept"), "repeated"],
      [under.word("b", ID, { kind: "cancel" }), "not-the-proposer"],
      [
        {
          kind: "voucher",
          voucher: { proposalId: ID, signer: under.peer("a"), signature: new Uint8Array(64) },
        },
        "unknown-proposal",
      ],
    ] as const;
    for (const [item, refusal] of items) t.same(under.put(item), [refusal]);
    for (const word of [
      under.proposal("b", idOf(2)),
      under.ballotVote("b", ID, "accept"),
      under.ballotVote("a", ID, "reject"),
      under.word("a", ID, { kind: "cancel" }),
    ]) {
      if (word.kind !== "word") throw new Error("it is a word");
      const signature = word.signed.signature.map((byte) => byte ^ 1);
      t.same(under.put({ kind: "word", signed: { ...word.signed, signature } }), ["forged"]);
    }
    t.same(
      under.put(...items.map(([item]) => item)),
      items.map(([, refusal]) => refusal),
      "all at once",
    );
    for (const garbage of [
      new Uint8Array(),
      Uint8Array.of(1, 2, 3),
      new Uint8Array(ENTRY_BYTES_MAX + 1),
      under.entry(...Array.from({ length: ITEMS_MAX + 1 }, () => vote)),
    ])
      t.same(decodeAnswers(box.apply(garbage)), ["malformed"]);
    t.same(Buffer.from(box.snapshot()), before);
  },
);

t.test("what members sign is checked before they sign it", async (t) => {
  const { signWord: sign, signer } = { signWord, signer: new BoxUnderTest("raft", "").signer("a") };
  const terms = { kind: "propose", topic: "notes", expiresAfterMs: 1, after: 0 } as const;
  const value = new Uint8Array(VALUE_BYTES_MAX + 1);
  t.throws(() => sign(signer, GROUP, ID, { ...terms, value }), RangeError);
  const reason = "x".repeat(257);
  const vote = { kind: "vote", digest: "00".repeat(32), choice: "reject", reason } as const;
  t.throws(() => sign(signer, GROUP, ID, vote), RangeError);
});

t.test("whoever votes twice is proven to lie, and its first vote counts", async (t) => {
  const under = new BoxUnderTest("raft", "abc");
  under.put(under.proposal("a", ID), under.ballotVote("b", ID, "reject"));
  t.same(under.put(under.ballotVote("b", ID, "accept")), ["contradicts"]);
  t.same(under.put(under.ballotVote("b", ID, "accept")), ["contradicts"]);
  const [proof, ...others] = under.box.evidence;
  if (proof === undefined) throw new Error("there is no proof");
  t.same(others, []);
  t.equal(proof.accused, under.peer("b"));
  const third = under.signer("third party");
  t.ok(isProof(third, GROUP, proof));
  t.notOk(isProof(third, GROUP, { ...proof, accused: under.peer("a") }));
  t.notOk(isProof(third, GROUP, { ...proof, second: proof.first }), "the same vote twice is none");
  t.notOk(isProof(third, idOf(3), proof), "in another group they were not said");
  const { signed } = proof.second;
  const forged = { ...proof.second, signed: { ...signed, signature: new Uint8Array(64) } };
  t.notOk(isProof(third, GROUP, { ...proof, second: forged }));
  under.put(under.ballotVote("a", ID, "accept"), under.ballotVote("c", ID, "accept"));
  t.match(under.closed, [{ outcome: "accepted" }]);
});

t.test("the last proofs are kept", async (t) => {
  const under = new BoxUnderTest("raft", "abc");
  for (let at = 1; at <= EVIDENCE_MAX + 3; at++) {
    const id = idOf(at);
    under.put(under.proposal("a", id, { after: at - 1 }), under.ballotVote("b", id, "reject"));
    under.put(under.ballotVote("b", id, "accept"), under.word("a", id, { kind: "cancel" }));
  }
  t.equal(under.box.evidence.length, EVIDENCE_MAX);
  t.equal(under.box.evidence[0]?.first.proposalId, idOf(4));
});

t.test("present members say that the time is over; those that left have no say", async (t) => {
  const under = new BoxUnderTest("pbft", "abcd");
  const expire = (by: string, id = ID) => under.put(under.word(by, id, { kind: "expire" }));
  under.put(under.proposal("a", ID));
  t.same(expire("a"), ["taken"]);
  t.same(expire("a"), ["repeated"]);
  under.members("bcde");
  t.same(expire("a"), ["not-a-member"]);
  expire("b");
  expire("c");
  t.equal(under.closed.length, 1, "the change of members, and nothing else");
  t.same(expire("e"), ["taken"], "who came later has a say in that");
  t.match(under.closed[1], { outcome: "expired", epoch: 2 });
});

t.test("votes stay with the members of when it was opened", async (t) => {
  const under = new BoxUnderTest("raft", "abcd");
  under.put(under.proposal("a", ID), under.ballotVote("d", ID, "accept"));
  under.members("abc");
  under.members("abce");
  t.same(under.put(under.ballotVote("e", ID, "accept")), ["not-a-member"], "it came later");
  under.put(under.ballotVote("a", ID, "accept"));
  t.equal(under.box.open.size, 1, "three of four are needed");
  under.put(under.ballotVote("b", ID, "accept"));
  t.match(under.closed.at(-1), { outcome: "accepted", epoch: 3 }, "the vote of who left counts");
});

t.test("a ballot that lost too many of its members is rejected", async (t) => {
  const under = new BoxUnderTest("raft", "abcde");
  under.put(
    under.proposal("a", ID),
    under.proposal("b", idOf(2)),
    under.ballotVote("e", idOf(2), "accept"),
  );
  under.members("abce");
  under.members("abe");
  t.equal(under.box.open.size, 2, "three can still accept");
  under.members("ab");
  t.match(under.closed.at(-1), { proposalId: ID, outcome: "rejected", reasons: [] });
  t.same([...under.box.open.keys()], [idOf(2)], "one who left has voted on the other");
});

t.test("a certificate is complete with a quorum, and nothing is added to it", async (t) => {
  const under = new BoxUnderTest("pbft", "abcd");
  under.decide(ID, "a", "abc");
  t.same(under.put(under.voucher("a", ID), under.voucher("a", ID)), ["taken", "repeated"]);
  t.same(under.put(under.voucher("x", ID)), ["not-a-member"]);
  const own = under.voucher("b", ID);
  if (own.kind !== "voucher") throw new Error("it is a voucher");
  const stolen = { ...own.voucher, signer: under.peer("c") };
  t.same(under.put({ kind: "voucher", voucher: stolen }), ["forged"]);
  t.same(under.certified, []);
  t.same(under.put(own, under.voucher("d", ID), under.voucher("c", ID)), [
    "taken",
    "taken",
    "repeated",
  ]);
  const [decision] = under.certified;
  const { certificate } = decision ?? {};
  if (certificate === undefined) throw new Error("there is no certificate");
  t.equal(certificate.signatures.length, 3);
  const authority = { group: GROUP, protocol: "pbft", list: under.box.present } as const;
  const reader = under.signer("reader");
  t.equal(faultOfCertificate(certificate, authority, reader), undefined);
  t.equal(under.box.archive.get(ID)?.decision, decision);
});

t.test("who left may still vouch for what it was there for", async (t) => {
  const under = new BoxUnderTest("raft", "ab");
  under.decide(ID, "a", "ab");
  under.members("a");
  t.same(under.put(under.voucher("a", ID), under.voucher("b", ID)), ["taken", "taken"]);
  t.equal(under.certified.length, 1);
});

t.test(
  "proposals that are open are bounded, of all and of each, and so are their bytes",
  async (t) => {
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const under = new BoxUnderTest("raft", names.join(""));
    let serial = 0;
    const fill = (by: string, value?: string): string | undefined =>
      under.put(under.proposal(by, idOf(++serial), { ...(value !== undefined && { value }) }))[0];
    for (let at = 0; at < OPEN_OF_ONE_MAX; at++) t.equal(fill("a"), "taken");
    t.equal(fill("a"), "full");
    under.put(under.word("a", idOf(1), { kind: "cancel" }));
    t.equal(fill("a"), "taken", "there is room again");
    for (const name of ["b", "c", "d"]) for (let at = 0; at < OPEN_OF_ONE_MAX; at++) fill(name);
    t.equal(under.box.open.size, OPEN_MAX);
    t.equal(fill("e"), "full");
    const other = new BoxUnderTest("raft", "abc");
    const value = "x".repeat(VALUE_BYTES_MAX);
    const room = Math.floor(OPEN_BYTES_OF_ONE_MAX / VALUE_BYTES_MAX);
    for (let at = 0; at < room; at++)
      t.same(other.put(other.proposal("a", idOf(at), { value })), ["taken"]);
    t.same(other.put(other.proposal("a", idOf(room), { value })), ["full"]);
    t.same(other.put(other.proposal("b", idOf(room), { value })), ["taken"]);
  },
);

t.test("a proposal is never decided twice, however long ago it was", async (t) => {
  const under = new BoxUnderTest("raft", "a");
  const first = under.proposal("a", idOf(1));
  under.put(first, under.ballotVote("a", idOf(1), "accept"));
  t.same(under.put(first), ["decided"]);
  for (let number = 2; number <= RECENT_IDS_MAX + 1; number++) under.decide(idOf(number), "a", "a");
  t.notOk(under.box.archive.isDecided(idOf(1)), "nobody remembers it");
  t.same(under.put(first), ["stale"]);
  t.equal(under.box.archive.recent().size, RECENT_IDS_MAX);
  t.equal(under.box.archive.after(0, 10_000).length, DECISIONS_MAX);
  t.equal(under.box.archive.after(0, 10_000)[0]?.number, RECENT_IDS_MAX + 2 - DECISIONS_MAX);
  t.equal(under.box.archive.get(idOf(2)), undefined, "it has given way");
});

t.test("decisions with large values give way sooner, and the last one stays", async (t) => {
  const under = new BoxUnderTest("raft", "a");
  const value = "x".repeat(VALUE_BYTES_MAX);
  for (let at = 1; at <= 60; at++) {
    under.put(under.proposal("a", idOf(at), { value, after: at - 1 }));
    under.put(under.ballotVote("a", idOf(at), "accept", value));
  }
  const kept = under.box.archive.after(0, 1_000);
  t.equal(kept.length, Math.floor(DECISIONS_BYTES_MAX / VALUE_BYTES_MAX));
  t.equal(kept.at(-1)?.number, 60);
});

t.test("changes of members are decisions, and are kept when others give way", async (t) => {
  const under = new BoxUnderTest("raft", "abc");
  t.same(under.closed, [], "the founders are not decided on");
  under.members("abc");
  t.equal(under.box.present.epoch, 1);
  under.members("abcd");
  const value = encodeMemberList(under.signer("verifier"), under.box.present);
  t.match(under.closed, [{ topic: "members", outcome: "accepted", epoch: 1, proposer: undefined }]);
  t.same(Buffer.from(under.closed[0]?.value ?? []), Buffer.from(value));
  const id = under.closed[0]?.proposalId ?? "";
  for (let at = 1; at <= DECISIONS_MAX; at++) {
    under.put(under.proposal("a", idOf(at), { after: at }));
    under.put(under.word("a", idOf(at), { kind: "cancel" }));
  }
  t.equal(under.box.archive.after(0, 1)[0]?.number, 2, "it has given way");
  t.same(under.put(under.voucher("a", id), under.voucher("b", id)), ["taken", "taken"]);
  t.equal(under.box.archive.linksFrom(1)[0]?.certificate?.signatures.length, 2);
  const copy = new BoxUnderTest("raft", "", under.keys);
  copy.box.restore(under.box.snapshot());
  t.same(copy.box.archive.linksFrom(1), under.box.archive.linksFrom(1));
  for (let at = 0; at < LINKS_MAX; at++) under.members(at % 2 === 0 ? "abc" : "abcd");
  t.equal(under.box.archive.linksFrom(1).length, LINKS_MAX);
  t.equal(under.box.archive.linksFrom(1)[0]?.epoch, 2);
  copy.box.restore(under.box.snapshot());
  t.same(copy.box.archive.linksFrom(1), under.box.archive.linksFrom(1));
});

t.test("there can be no group of too many, or of who has no key", async (t) => {
  const under = new BoxUnderTest("raft", "abc");
  const many = Array.from({ length: MEMBERS_MAX + 1 }, (_, at) => under.peer(`member ${at}`));
  t.throws(() => under.box.members(many), RangeError);
  t.throws(() => under.box.members(["nobody"]), RangeError);
  t.equal(under.box.present.epoch, 1);
});

t.test("a snapshot holds everything, and is the same for the same state", async (t) => {
  const under = new BoxUnderTest("pbft", "abcd");
  under.decide(ID, "a", "abc");
  under.put(under.voucher("a", ID), under.voucher("b", ID));
  under.members("abcde");
  under.put(under.proposal("b", idOf(2)), under.ballotVote("c", idOf(2), "reject", "value", "no"));
  under.put(under.ballotVote("c", idOf(2), "accept"), under.word("d", idOf(2), { kind: "expire" }));
  const snapshot = under.box.snapshot();
  const copy = new BoxUnderTest("pbft", "", under.keys);
  const buffer = snapshot.slice();
  copy.box.restore(buffer);
  buffer.fill(0);
  t.equal(copy.restored, 1);
  t.same(Buffer.from(copy.box.snapshot()), Buffer.from(snapshot));
  t.same(
    [...copy.box.open.values()].map((ballot) => ballot.open()),
    [...under.box.open.values()].map((ballot) => ballot.open()),
  );
  for (const each of [under, copy]) {
    t.same(each.put(each.voucher("c", ID), each.ballotVote("c", idOf(2), "accept")), [
      "taken",
      "contradicts",
    ]);
    t.equal(each.certified.length, 1);
    t.equal(each.box.evidence.length, 1);
    for (const name of "abde") each.put(each.ballotVote(name, idOf(2), "accept"));
    t.match(each.closed.at(-1), { outcome: "accepted", number: 3, epoch: 2 });
  }
  t.same(Buffer.from(copy.box.snapshot()), Buffer.from(under.box.snapshot()));
  copy.box.restore(new Uint8Array());
  t.equal(copy.box.present.epoch, 0, "with nothing it begins as at first");
  t.equal(copy.box.archive.decided, 0);
  t.throws(() => copy.box.restore(Uint8Array.of(8, 2)), /version 2/);
  t.throws(() => copy.box.restore(Uint8Array.of(255)));
});
