import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { libp2pNode } from "../support/libp2p-node.ts";

const directory = { valid: () => true, newest: () => 0 };

// A starved event loop can not even fail: the runner's time limit would end this file.
t.test("looking for relays in an empty table leaves time for everything else", async (t) => {
  const seeking = await libp2pNode({ directory, relay: { use: true, serve: false } });
  t.teardown(() => seeking.stop());
  await seeking.start(() => undefined);
  await delay(20);
  const other = await libp2pNode();
  t.teardown(() => other.stop());
  await other.start(() => undefined);
  const peer = await other.connect({ addresses: seeking.addresses() }, { timeoutMs: 5_000 });
  t.equal(peer, seeking.self, "it answers while it looks");
});
