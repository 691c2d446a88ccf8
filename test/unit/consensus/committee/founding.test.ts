import t from "tap";
import {
  isPreferred,
  isSignedBy,
  makeFounding,
  readFounding,
  signFounding,
} from "../../../../src/consensus/committee/founding.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";

const keys = new VirtualKeys();
const signers = ["a", "b", "c", "d", "e"].map((name) => keys.signer(name));
const peers = signers.map(({ peerId }) => peerId);
const [first] = signers as [(typeof signers)[number]];
const group = "00112233445566778899aabbccddeeff";
const other = "ff112233445566778899aabbccddeeff";

t.test("a founding is read as it was made", async (t) => {
  const made = makeFounding(first, { group, protocol: "raft", founders: peers.slice(0, 3) });
  t.match(made, { group, protocol: "raft", founders: peers.slice(0, 3).toSorted() });
  t.equal(made.replaces, undefined);
  t.same(readFounding(first, made.bytes), made);
  const second = makeFounding(first, {
    group,
    protocol: "pbft",
    founders: peers.slice(0, 4),
    replaces: other,
  });
  t.equal(readFounding(first, second.bytes)?.replaces, other);
});

t.test("what can not be a committee is none", async (t) => {
  const of = (founders: readonly string[], protocol: "raft" | "pbft" = "raft") =>
    makeFounding(first, { group, protocol, founders });
  t.throws(() => of(peers.slice(0, 3), "pbft"), /3 founders are no committee of pbft/);
  t.throws(() => of([]), /0 founders/);
  t.throws(() => of([peers[0]!, peers[0]!]), /2 founders/);
  t.throws(() => of(["nobody"]), /names no Ed25519 key/);
  const { bytes } = of(peers.slice(0, 3));
  for (let at = 0; at < bytes.length; at++) {
    const bad = bytes.slice(0, at);
    const read = readFounding(first, bad);
    t.ok(read === undefined || read.founders.length < 3, `cut after ${at} bytes`);
  }
  t.equal(readFounding(first, new Uint8Array(5_000)), undefined);
});

t.test("only a founder's own signature counts, and for this founding alone", async (t) => {
  const founding = makeFounding(first, { group, protocol: "raft", founders: peers.slice(0, 3) });
  const signature = signFounding(first, founding);
  t.ok(isSignedBy(first, founding, { founder: peers[0]!, signature }));
  t.notOk(isSignedBy(first, founding, { founder: peers[1]!, signature }));
  const outsider = { founder: peers[4]!, signature: signFounding(signers[4]!, founding) };
  t.notOk(isSignedBy(first, founding, outsider));
  const another = makeFounding(first, {
    group: other,
    protocol: "raft",
    founders: peers.slice(0, 3),
  });
  t.notOk(isSignedBy(first, another, { founder: peers[0]!, signature }));
});

t.test("everybody prefers the same of two committees", async (t) => {
  const three = makeFounding(first, {
    group: other,
    protocol: "raft",
    founders: peers.slice(0, 3),
  });
  const four = makeFounding(first, { group, protocol: "raft", founders: peers.slice(0, 4) });
  const smaller = makeFounding(first, { group, protocol: "raft", founders: peers.slice(1, 4) });
  const heir = makeFounding(first, {
    group: other,
    protocol: "raft",
    founders: peers.slice(0, 3),
    replaces: group,
  });
  const pairs = [
    ["founded by more", four, three],
    ["the smaller group id", smaller, three],
    ["what takes another's place, though by fewer", heir, four],
  ] as const;
  for (const [why, better, worse] of pairs) {
    t.ok(isPreferred(better, worse), why);
    t.notOk(isPreferred(worse, better), why);
  }
  t.notOk(isPreferred(three, three));
});
