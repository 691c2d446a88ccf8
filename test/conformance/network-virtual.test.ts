import t, { type Test } from "tap";
import type { NetworkEvent } from "../../src/platform/network.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { type EtherSettings, VirtualEther } from "../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../src/simulator/virtual-network.ts";
import { networkConformance } from "./network.ts";
import { type MakeNode, type NodeOptions, TOPIC_BYTES_MAX } from "./network-ground.ts";

function ether(over: Partial<EtherSettings> = {}): VirtualEther {
  const [clock, random] = [new VirtualClock(), new SeededRandom("ether")];
  return new VirtualEther({ clock, random, hasher: nodeHasher, ...over });
}

let nodes = 0;

/** Time goes by with the event loop, so that the suite need not know that it is virtual. */
function nodesOf(over: Partial<EtherSettings> = {}): MakeNode {
  const clock = new VirtualClock();
  const world = ether({ clock, ...over });
  return async (
    t: Test,
    { gate, key, before, onEvent, bulkIdleTimeoutMs = 20_000 }: NodeOptions = {},
  ) => {
    const ticking = setInterval(() => void clock.advance(20), 1);
    t.teardown(() => clearInterval(ticking));
    const events: NetworkEvent[] = [];
    const offences: string[] = [];
    const network = new VirtualNetwork(world, {
      self: key ?? `node-${nodes++}`,
      messageBytesMax: TOPIC_BYTES_MAX,
      queueBytesMax: 4_194_304,
      bulkIdleTimeoutMs,
      gate: {
        admits: () => true,
        allows: () => undefined,
        offence: (peer, kind) => void offences.push(`${peer} ${kind}`),
        ...gate,
      },
    });
    before?.(network);
    t.teardown(() => network.stop());
    await network.start((event) => {
      events.push(event);
      onEvent?.(event, network);
    });
    return { network, events, offences };
  };
}

networkConformance(t, "virtual", nodesOf());
networkConformance(
  t,
  "virtual, slow and lossy",
  nodesOf({
    latencyMs: (_from, _to, random) => 20 + random.next() * 30,
    lossRate: 0.05,
    bytesPerMs: 20_000,
  }),
);
