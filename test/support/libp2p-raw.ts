import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Test } from "tap";
import type { Protocol, Service } from "../../src/platform/network.ts";

/** A libp2p node with nothing of this project in it, which does on its streams what it likes. */
export class RawPeer {
  readonly node: Libp2p;

  private constructor(node: Libp2p) {
    this.node = node;
  }

  static async start(t: Test): Promise<RawPeer> {
    const node = await createLibp2p({
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
    });
    t.teardown(() => node.stop());
    return new RawPeer(node);
  }

  get name(): string {
    return this.node.peerId.toString();
  }

  get addresses(): string[] {
    return this.node.getMultiaddrs().map(String);
  }

  /** @returns a stream of the protocol to whoever listens there, and what came on it so far */
  async open(
    addresses: readonly string[],
    protocolId: string,
  ): Promise<{ stream: Stream; came: Uint8Array[] }> {
    const connection = await this.node.dial(addresses.map((address) => multiaddr(address)));
    const stream = await connection.newStream(protocolId);
    return { stream, came: listen(stream) };
  }

  /** Does `what` with every stream of the protocol that others open. */
  async serve(
    protocolId: string,
    what: (stream: Stream, came: Uint8Array[]) => void,
  ): Promise<void> {
    await this.node.handle(protocolId, (stream) => what(stream, listen(stream)));
  }
}

function listen(stream: Stream): Uint8Array[] {
  const came: Uint8Array[] = [];
  stream.addEventListener("message", ({ data }) => void came.push(data.subarray().slice()));
  return came;
}

/** A protocol with small bounds, and a service that answers with what it was asked. */
export const echo: { readonly protocol: Protocol; readonly service: Service } = {
  protocol: {
    id: "/agent-mesh-test/echo/1.0.0",
    messageBytesMax: 65_536,
    queueBytesMax: 262_144,
    requestsInFlightMax: 8,
  },
  service: { message: () => undefined, request: (_, payload) => payload },
};
