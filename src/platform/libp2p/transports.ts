import type { Libp2pOptions } from "libp2p";
import type { Libp2pSettings, TransportName } from "./settings.ts";

type TransportFactory = NonNullable<Libp2pOptions["transports"]>[number];

/** The neighbour's yamux and the kernel see to idle connections; what says nothing is not broken. */
const NO_TIMEOUT = 0;

/** Loads only what is switched on: QUIC and WebRTC bring native libraries along. */
export async function transportsOf(settings: Libp2pSettings): Promise<TransportFactory[]> {
  const direct = await Promise.all(settings.transports.map((name) => loaders[name](settings)));
  if (!settings.relay.use) return direct.flat();
  const { circuitRelayTransport } = await import("@libp2p/circuit-relay-v2");
  return [...direct.flat(), circuitRelayTransport()];
}

const loaders: Readonly<
  Record<TransportName, (settings: Libp2pSettings) => Promise<TransportFactory[]>>
> = {
  tcp: async ({ connectionsMax }) => {
    const { tcp } = await import("@libp2p/tcp");
    const socket = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };
    return [
      tcp({
        inboundSocketInactivityTimeout: NO_TIMEOUT,
        outboundSocketInactivityTimeout: NO_TIMEOUT,
        // Beyond what the pruner keeps, so that it has something to choose from.
        maxConnections: connectionsMax + 16,
        backlog: 128,
        dialOpts: socket,
        listenOpts: socket,
      }),
    ];
  },
  ws: async () => {
    const { webSockets } = await import("@libp2p/websockets");
    return [webSockets()];
  },
  quic: async () => {
    const { quic } = await native("quic", () => import("@chainsafe/libp2p-quic"));
    return [quic()];
  },
  webrtc: async ({ relay }) => {
    const { webRTC, webRTCDirect } = await native("webrtc", () => import("@libp2p/webrtc"));
    // Between two nodes behind NATs WebRTC needs a relay to meet at; the direct kind needs none.
    return relay.use ? [webRTCDirect(), webRTC()] : [webRTCDirect()];
  },
};

/** @throws Error in words that name the setting when this machine lacks the library */
async function native<T>(name: TransportName, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new Error(
      `mesh.transports has ${name}, whose native library can not be loaded on this machine: ${(error as Error).message}; leave it out`,
      { cause: error },
    );
  }
}
