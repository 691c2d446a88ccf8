import { createServer, type Server, type Socket } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import type { Test } from "tap";

/** A connection to a {@link fakeBroker}, as the broker sees it. */
export interface FakeConnection {
  readonly socket: Socket;
  readonly send: (packet: Packet) => void;
}

/**
 * A broker that does what the test says, for what real brokers do only on bad days.
 * @param react is shown every packet
 * @param version how packets are read and written; a client of version 5 may be answered in version 4
 */
export async function fakeBroker(
  t: Test,
  react: (packet: Packet, connection: FakeConnection) => void,
  version: 4 | 5 = 5,
): Promise<{ url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    const parser = mqttPacket.parser({ protocolVersion: version });
    const connection: FakeConnection = {
      socket,
      send: (packet) => socket.write(mqttPacket.generate(packet, { protocolVersion: version })),
    };
    parser.on("packet", (packet) => react(packet, connection));
    socket.on("data", (chunk) => parser.parse(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.teardown(close);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `mqtt://127.0.0.1:${address.port}`, close };
}

/** @returns a CONNACK that lets the client in. */
export function welcome(properties: { receiveMaximum?: number; maximumPacketSize?: number } = {}) {
  return { cmd: "connack", reasonCode: 0, sessionPresent: false, properties } as const;
}
