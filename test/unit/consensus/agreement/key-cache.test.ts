import t from "tap";
import { KeyCache } from "../../../../src/consensus/agreement/key-cache.ts";
import { TestSigner } from "../../../support/access.ts";
import { BoxUnderTest, idOf } from "../../../support/agreement/box.ts";

t.test("names and keys are worked out once, and are those of the signer", async (t) => {
  const signer = new TestSigner("one");
  let asked = 0;
  const cache = new KeyCache({
    verify: (key, purpose, bytes, signature) => signer.verify(key, purpose, bytes, signature),
    peerIdOf: (key) => {
      asked++;
      return signer.peerIdOf(key);
    },
    publicKeyOf: (peer) => {
      asked++;
      return signer.publicKeyOf(peer);
    },
  });
  for (let round = 0; round < 3; round++) {
    t.equal(cache.peerIdOf(signer.publicKey), signer.peerId);
    t.same(Buffer.from(cache.publicKeyOf(signer.peerId) ?? []), Buffer.from(signer.publicKey));
    t.ok(
      cache.verify(
        signer.publicKey,
        "test",
        Uint8Array.of(1),
        signer.sign("test", Uint8Array.of(1)),
      ),
    );
  }
  t.equal(asked, 2);
  t.equal(cache.publicKeyOf("nobody"), undefined);
  t.throws(() => cache.peerIdOf(Uint8Array.of(1)), RangeError);
});

t.test(
  "any number of strangers may speak: they are refused, and members are heard as before",
  async (t) => {
    const under = new BoxUnderTest("raft", "a");
    const answers = new Set<string>();
    for (let at = 0; at < 1_200; at++)
      for (const answer of under.put(under.proposal(`stranger ${at}`, idOf(at))))
        answers.add(answer);
    t.same([...answers], ["not-a-member"]);
    under.decide(idOf(1), "a", "a");
    under.put(under.voucher("a", idOf(1)));
    t.equal(under.certified.length, 1);
  },
);
