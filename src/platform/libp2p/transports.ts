import type { Libp2pOptions } from "libp2p";
import type { Libp2pSettings, TransportName } from "./settings.ts";

type TransportFactory = NonNullable<Libp2pOptions["transports"]>[number];

/** The neighbour's yamux and the kernel see to idle connections; what says nothing is not broken. */
const NO_TIMEOUT = 0;

/** Loads only what is switched on: QUIC and WebRTC bring native libraries along. */
export async function transportsOf(settings: Libp2pSettings): Promise<TransportFactory[]> {
  const direct = await Promise.all(settings.transports.map((name) => load(name, settings)));
  if (!settings.relay.use) return direct.flat();
  const { circuitRelayTransport } = await import("@libp2p/circuit-relay-v2");
  return [...direct.flat(), circuitRelayTransport()];
}

async function load(name: TransportName, settings: Libp2pSettings): Promise<TransportFactory[]> {
  switch (name) {
    case "tcp": {
      const { tcp } = await import("@libp2p/tcp");
      return [
        tcp({
          inboundSocketInactivityTimeout: NO_TIMEOUT,
          outboundSocketInactivityTimeout: NO_TIMEOUT,
          // Beyond what the pruner keeps, so that it has something to choose from.
          maxConnections: settings.connectionsMax + 16,
          backlog: 128,
          dialOpts: { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
          listenOpts: { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
        }),
      ];
    }
    case "ws": {
      const { webSockets } = await import("@libp2p/websockets");
      return [webSockets()];
    }
    case "quic": {
      const { quic } = await import("@chainsafe/libp2p-quic");
      return [quic()];
    }
    case "webrtc": {
      const { webRTC, webRTCDirect } = await import("@libp2p/webrtc");
      // Between two nodes behind NATs WebRTC needs a relay to meet at; the direct kind needs none.
      return settings.relay.use ? [webRTCDirect(), webRTC()] : [webRTCDirect()];
    }
  }
}
