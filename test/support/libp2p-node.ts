import { generateIdentityPem, identityKeyFrom } from "../../src/platform/libp2p/identity-key.ts";
import { Libp2pNetwork } from "../../src/platform/libp2p/libp2p-network.ts";
import type { Libp2pSettings } from "../../src/platform/libp2p/settings.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";

/** @returns settings of a node on loopback, TCP unless said otherwise, with everything else off */
export function libp2pSettings(over: Partial<Libp2pSettings> = {}): Libp2pSettings {
  return {
    ...identityKeyFrom(generateIdentityPem()),
    agentVersion: "agent-mesh/test",
    transports: ["tcp"],
    listen: ["/ip4/127.0.0.1/tcp/0"],
    announce: [],
    encryptions: ["noise", "tls"],
    networkKey: undefined,
    mdns: false,
    mdnsIntervalMs: 10_000,
    directory: undefined,
    relay: { use: false, serve: false },
    connectionsMax: 64,
    inboundPerSecondMax: 1_000,
    messageBytesMax: 1_048_576,
    queueBytesMax: 4_194_304,
    bulkIdleTimeoutMs: 20_000,
    pace: { gossipIntervalMs: 100 },
    clock: new SystemClock(),
    gate: { admits: () => true, allows: () => undefined, offence: () => undefined },
    logger: silentLogger,
    ...over,
  };
}

/** @returns a node that listens on nothing yet: start it */
export function libp2pNode(over: Partial<Libp2pSettings> = {}): Promise<Libp2pNetwork> {
  return Libp2pNetwork.create(libp2pSettings(over));
}
