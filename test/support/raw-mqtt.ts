import { connect, type Socket } from "node:net";
import mqttPacket, { type IConnectPacket, type Packet } from "mqtt-packet";
import type { Test } from "tap";
import { eventually } from "./mosquitto.ts";

/** An MQTT client that does nothing by itself: no acknowledgements, no pings, no second thoughts. */
export interface RawMqtt {
  readonly socket: Socket;
  /** Everything that came, in order. */
  readonly received: Packet[];
  readonly closed: boolean;
  /** Writes packets, or bytes, in one piece. */
  send(...packets: readonly (Packet | Buffer)[]): void;
  /** Waits for the `nth` packet of a kind. */
  next<T extends Packet = Packet>(cmd: Packet["cmd"], nth?: number): Promise<T>;
  of<T extends Packet = Packet>(cmd: Packet["cmd"]): T[];
}

/** Opens a socket without saying anything; it ends with the test. */
export function rawMqtt(t: Test, url: string, version: 4 | 5): RawMqtt {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  t.teardown(() => socket.destroy());
  const received: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: version });
  let closed = false;
  parser.on("packet", (packet) => received.push(packet));
  parser.on("error", (error: Error) => t.fail(`the broker sent what can not be read: ${error}`));
  socket.on("data", (chunk) => parser.parse(chunk));
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  const of = <T extends Packet>(cmd: Packet["cmd"]): T[] =>
    received.filter((packet): packet is T => packet.cmd === cmd);
  return {
    socket,
    received,
    get closed() {
      return closed;
    },
    send: (...packets) =>
      void socket.write(
        Buffer.concat(
          packets.map((packet) =>
            Buffer.isBuffer(packet)
              ? packet
              : mqttPacket.generate(packet, { protocolVersion: version }),
          ),
        ),
      ),
    next: async <T extends Packet>(cmd: Packet["cmd"], nth = 1) => {
      await eventually(() => of(cmd).length >= nth, `${cmd} number ${nth}`);
      return of<T>(cmd)[nth - 1]!;
    },
    of,
  };
}

/** Opens a session and waits for CONNACK. */
export async function openRawMqtt(
  t: Test,
  url: string,
  version: 4 | 5,
  options: Partial<IConnectPacket> = {},
): Promise<RawMqtt> {
  const client = rawMqtt(t, url, version);
  client.send(hello(version, options));
  await client.next("connack");
  return client;
}

/** CONNECT: a clean session without keepalive, unless told otherwise. */
export function hello(version: 4 | 5, options: Partial<IConnectPacket> = {}): IConnectPacket {
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: version,
    clientId: "raw",
    clean: true,
    keepalive: 0,
    ...options,
  };
}
