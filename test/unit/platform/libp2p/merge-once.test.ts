import { generateKeyPair } from "@libp2p/crypto/keys";
import type { Peer, PeerData, PeerId, PeerStore } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import t from "tap";
import { mergeOnce } from "../../../../src/platform/libp2p/merge-once.ts";

const [one, other] = await Promise.all(
  [0, 1].map(async () => peerIdFromPrivateKey(await generateKeyPair("Ed25519"))),
);

/** A store that only knows what was merged into it. */
function storeOf() {
  const written: string[] = [];
  const merge = async (id: PeerId, data: PeerData) => {
    if (data.protocols?.includes("/fails") === true) throw new Error("the store is full");
    written.push(`${id === one ? "one" : "other"} ${data.protocols?.join()}`);
    return { id } as Peer;
  };
  let nowMs = 0;
  const store = { merge } as unknown as PeerStore;
  mergeOnce(store, () => nowMs);
  return {
    store,
    written,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

t.test("a protocol of a peer is written down once a minute", async (t) => {
  const { store, written, pass } = storeOf();
  for (const id of [one!, one!, other!, one!])
    t.equal((await store.merge(id, { protocols: ["/a"] })).id, id);
  await store.merge(one!, { protocols: ["/b"] });
  t.same(written, ["one /a", "other /a", "one /b"]);
  pass(59_999);
  await store.merge(one!, { protocols: ["/a"] });
  t.equal(written.length, 3);
  pass(1);
  await store.merge(one!, { protocols: ["/a"] });
  t.same(written.slice(3), ["one /a"]);
});

t.test("everything else is, and so is what failed", async (t) => {
  const { store, written } = storeOf();
  const metadata = { version: new Uint8Array(1) };
  for (let time = 0; time < 2; time++) {
    await store.merge(one!, { protocols: ["/a", "/b"] });
    await store.merge(one!, { protocols: ["/a"], metadata });
    await store.merge(one!, {});
    await t.rejects(store.merge(one!, { protocols: ["/fails"] }), { message: /full/ });
  }
  t.equal(written.length, 6);
});

t.test("it does not remember without end", async (t) => {
  const { store, written } = storeOf();
  for (let protocol = 0; protocol < 5_000; protocol++)
    await store.merge(one!, { protocols: [`/${protocol}`] });
  await store.merge(one!, { protocols: ["/4999"] });
  t.equal(written.length, 5_000, "what came last is still known");
  await store.merge(one!, { protocols: ["/0"] });
  t.equal(written.length, 5_001, "what came first is not");
});
