import type { Test } from "tap";
import { FleetMemory } from "../../src/mesh/fleet/fleet-memory.ts";
import { directoryRules } from "../../src/mesh/fleet/record-directory.ts";
import { defaultMembershipOptions } from "../../src/mesh/membership/options.ts";
import { MeshNode } from "../../src/mesh/node.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { Libp2pNetwork } from "../../src/platform/libp2p/libp2p-network.ts";
import type { Libp2pSettings } from "../../src/platform/libp2p/settings.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { libp2pSettings } from "./libp2p-node.ts";

/** A node of the mesh on real libp2p, in the test's process. */
export interface InteropNode {
  readonly node: MeshNode;
  readonly network: Libp2pNetwork;
}

/** @param over settings of the network; `dht` puts it into the table. The test's end stops it. */
export async function interopNode(
  t: Test,
  { dht = false, ...over }: Partial<Libp2pSettings> & { readonly dht?: boolean } = {},
): Promise<InteropNode> {
  const settings = libp2pSettings(over);
  const { signer, clock, logger, gate } = settings;
  const verifier = new CachingVerifier(signer, 64);
  const directory = dht ? directoryRules(verifier) : undefined;
  const network = await Libp2pNetwork.create({ ...settings, directory });
  const node = new MeshNode({
    network,
    signer,
    clock,
    random: new SystemRandom(),
    logger,
    gate,
    verifier,
    memory: new FleetMemory(new MemoryKeyValueStore()),
    membership: defaultMembershipOptions,
    limits: settings,
    self: { agentId: "interop", version: "0.0.0", addresses: [] },
    bootstrap: [],
    remember: false,
    peerExchange: false,
  });
  t.teardown(() => node.stop());
  await node.start();
  return { node, network };
}
