/** The least of MQTT 3.1.1 that a publisher and a subscriber need, lean enough not to be what is measured. */
import { connect, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";

export const PUBLISH = 3;
export const PUBACK = 4;
export const CONNACK = 2;
export const SUBACK = 9;

/** Bytes of a reading's payload in all benches. */
export const PAYLOAD_BYTES = 200;

/** Calls `take` with type, first byte, and body of each packet. */
export function packets(
  socket: Socket,
  take: (type: number, head: number, body: Buffer) => void,
): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      let length = 0;
      let digits = 0;
      let byte = 0x80;
      while (byte & 0x80 && at + 1 + digits < data.length) {
        byte = data[at + 1 + digits] ?? 0;
        length += (byte & 0x7f) << (7 * digits++);
      }
      const end = at + 1 + digits + length;
      if (byte & 0x80 || end > data.length || at + 1 >= data.length) break;
      const head = data[at] ?? 0;
      take(head >> 4, head, data.subarray(at + 1 + digits, end));
      at = end;
    }
    rest = data.subarray(at);
  });
}

/** Opens a session. @throws Error when nobody listens */
export function dial(port: string | undefined, clientId: string): Promise<Socket> {
  const session = { cmd: "connect", clean: true, keepalive: 0, protocolVersion: 4 } as const;
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.setNoDelay(true);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.write(mqttPacket.generate({ ...session, clientId }));
      resolve(socket);
    });
  });
}

/** @throws Error when the broker did not let us in. */
export function admitted(body: Buffer): void {
  if (body[1] !== 0) throw new Error(`CONNACK with return code ${body[1]}`);
}

/** @returns a QoS 1 PUBLISH of MQTT 3.1.1, of at most 16 KB; a general encoder takes several times as long. */
export function publish(topic: string, payload: string, number: number): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const remaining = 2 + topicBytes + 2 + Buffer.byteLength(payload);
  const packet = Buffer.allocUnsafe(3 + remaining);
  packet[0] = 0x32;
  packet[1] = (remaining & 0x7f) | 0x80;
  packet[2] = remaining >> 7;
  let at = packet.writeUInt16BE(topicBytes, 3);
  at += packet.write(topic, at, "utf8");
  at = packet.writeUInt16BE((number % 65_535) + 1, at);
  packet.write(payload, at, "utf8");
  return packet;
}

/** Ends the process when it takes longer than anybody would wait for. */
export function giveUpAfter(deadlineMs: number): void {
  setTimeout(() => {
    process.stderr.write(`not done after ${deadlineMs} ms\n`);
    process.exit(1);
  }, deadlineMs);
}

/** A reading as sensors send them: names that repeat, values that do not. Starts with its number. */
export function reading(number: number): string {
  const noise = (step: number): number => ((number * 7_919 + step * 104_729) % 10_007) / 10_007;
  const body = JSON.stringify({
    sensor: `boiler-${number % 7}`,
    celsius: Number((60 + 30 * noise(1)).toFixed(3)),
    bar: Number((1.5 + noise(2)).toFixed(4)),
    litresPerMinute: Number((10 + 5 * noise(3)).toFixed(3)),
    valve: noise(4) > 0.5 ? "open" : "shut",
    volts: Number((3.3 + noise(5)).toFixed(4)),
    rssi: -40 - Math.floor(50 * noise(6)),
    runMs: number * 137,
  });
  return (String(number).padStart(8, "0") + body)
    .padEnd(PAYLOAD_BYTES, " ")
    .slice(0, PAYLOAD_BYTES);
}
