import { create } from "@bufbuild/protobuf";
import t from "tap";
import { encodeDecision, signStatement } from "../../../../src/consensus/agreement/certificate.ts";
import { encodeMemberList } from "../../../../src/consensus/agreement/member-list.ts";
import { makeFounding, signFounding } from "../../../../src/consensus/committee/founding.ts";
import { KnownCommittees } from "../../../../src/consensus/committee/known-committees.ts";
import { MemberChain } from "../../../../src/consensus/committee/member-chain.ts";
import { CHANGES_MAX } from "../../../../src/consensus/committee/message-codec.ts";
import {
  decodeRecord,
  encodeRecord,
  type KnownCommittee,
  readRecord,
  recordOf,
  supersedes,
} from "../../../../src/consensus/committee/record.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import type { Signer } from "../../../../src/platform/signer.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import { CommitteeRecordSchema } from "../../../../src/wire/agent_mesh/v1/committee_pb.ts";

const keys = new VirtualKeys();
const signers = ["a", "b", "c", "d", "e"]
  .map((name) => keys.signer(name))
  .sort((x, y) => (x.peerId < y.peerId ? -1 : 1));
const [a, b, c, d] = signers as [Signer, Signer, Signer, Signer];
const group = "00112233445566778899aabbccddeeff";
const chain = new MemberChain(a, nodeHasher);
const namesOf = (of: readonly Signer[]): string[] => of.map(({ peerId }) => peerId).sort();

/** A change of members as those before it certify it. */
function change(epoch: number, next: readonly Signer[], by: readonly Signer[], topic = "members") {
  const value = encodeMemberList(a, { epoch: epoch + 1, members: namesOf(next) });
  const statement = {
    group,
    epoch,
    number: epoch,
    topic,
    proposalId: String(epoch).padStart(32, "0"),
    digest: nodeHasher.sha256Hex(value),
  };
  const signatures = by.map((signer) => signStatement(signer, statement));
  return encodeDecision(a, { value, certificate: { ...statement, signatures } });
}

function committee(changes: readonly Uint8Array[] = [], founders = [a, b, c]): KnownCommittee {
  const founding = makeFounding(a, { group, protocol: "raft", founders: namesOf(founders) });
  const signatures = founders.map((signer) => ({
    founder: signer.peerId,
    signature: signFounding(signer, founding),
  }));
  return { founding, signatures, changes, members: namesOf(founders) };
}

const read = (known: KnownCommittee, before?: KnownCommittee) =>
  readRecord(a, chain, recordOf(a, known), before);

t.test("a record leads from the founders to the members of today", async (t) => {
  const changes = [change(1, [a, b, c, d], [a, b]), change(2, [b, c, d], [b, c, d])];
  const found = read(committee(changes));
  if (typeof found === "string") throw new Error(found);
  t.same(found.members, namesOf([b, c, d]));
  t.same(chain.listAt(found, 1), { epoch: 1, members: namesOf([a, b, c]) });
  t.same(chain.listAt(found, 2)?.members.length, 4);
  t.equal(chain.listAt(found, 4), undefined);
  t.equal(chain.listAt(found, 0), undefined);
  const kept = decodeRecord(encodeRecord(a, found));
  t.same(kept && readRecord(a, chain, kept), found, "it is kept as it is");
  t.ok(supersedes(found, committee()));
  t.notOk(supersedes(committee(), found));
  t.equal(read(committee(), found), found, "what is known already is not looked at again");
});

t.test("records that are not to be believed", async (t) => {
  const first = change(1, [a, b, c, d], [a, b]);
  const faults: readonly (readonly [why: string, known: KnownCommittee, fault: string])[] = [
    ["a change by too few", committee([change(1, [d], [a])]), "forged-change"],
    ["a change by others", committee([change(1, [d], [d, signers[4]!])]), "forged-change"],
    ["a change that is left out", committee([change(2, [b, c], [a, b, c])]), "forged-change"],
    ["changes in another order", committee([change(2, [b], [a, b, c]), first]), "forged-change"],
    ["a decision on something else", committee([change(1, [d], [a, b], "notes")]), "forged-change"],
    ["garbage", committee([Uint8Array.of(1, 2, 3)]), "forged-change"],
    [
      "one founder has not signed",
      { ...committee(), signatures: committee().signatures.slice(1) },
      "unsigned-founding",
    ],
    [
      "one founder signs for another",
      {
        ...committee(),
        signatures: committee().signatures.map(({ founder }) => ({
          founder,
          signature: signFounding(a, committee().founding),
        })),
      },
      "unsigned-founding",
    ],
    [
      "one founder signs thrice",
      { ...committee(), signatures: Array.from({ length: 3 }, () => committee().signatures[0]!) },
      "unsigned-founding",
    ],
    [
      "more changes than anybody makes",
      committee(Array.from({ length: CHANGES_MAX + 1 }, () => first)),
      "malformed-record",
    ],
  ];
  for (const [why, known, fault] of faults) t.equal(read(known), fault, why);
  const nothing = create(CommitteeRecordSchema, {});
  t.equal(readRecord(a, chain, nothing), "malformed-record");
  t.equal(decodeRecord(Uint8Array.of(255, 255, 255)), undefined);
});

t.test("what is known outlives the process, and damage to it", async (t) => {
  const store = new MemoryKeyValueStore();
  const one = new KnownCommittees(a, store, chain);
  await one.load();
  t.equal(one.newest, undefined);
  await one.keep(committee([change(1, [a, b, c, d], [a, b])]));
  const two = new KnownCommittees(a, store, chain);
  await two.load();
  t.match(two.newest, { founding: { group } });
  t.equal(two.judge(recordOf(a, committee())), undefined, "older than what is known");
  t.equal(two.judge(create(CommitteeRecordSchema, {})), "malformed-record");
  await store.write([{ type: "put", key: "k/record", value: Uint8Array.of(9) }], { durable: true });
  const three = new KnownCommittees(a, store, chain);
  await three.load();
  t.equal(three.newest, undefined, "others know it too");
});
