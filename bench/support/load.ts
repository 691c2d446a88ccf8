/**
 * A publisher and a subscriber in a process of their own, lean enough not to be what is measured:
 * `node load.ts FROM_PORT TO_PORT TOPIC MESSAGES`. Publishes QoS 1 with 256 in flight to one port, waits for
 * all of them at the other, and prints `{ms, received, repeated, disordered}` as JSON.
 */
import { connect, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";

const IN_FLIGHT = 256;
const PAYLOAD_BYTES = 200;
const PUBLISH = 3;
const PUBACK = 4;
const CONNACK = 2;
const SUBACK = 9;

const [fromPort, toPort, topic = "", count] = process.argv.slice(2);
const messages = Number(count);
const session = { cmd: "connect", clean: true, keepalive: 0, protocolVersion: 4 } as const;

/** Calls `take` with type, first byte, and body of each packet. */
function packets(socket: Socket, take: (type: number, head: number, body: Buffer) => void): void {
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

function dial(port: string | undefined, clientId: string): Promise<Socket> {
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

const DEADLINE_MS = 120_000;
setTimeout(() => {
  process.stderr.write(`not done after ${DEADLINE_MS} ms\n`);
  process.exit(1);
}, DEADLINE_MS);

/** @throws Error when the broker did not let us in. */
function admitted(body: Buffer): void {
  if (body[1] !== 0) throw new Error(`CONNACK with return code ${body[1]}`);
}

const sink = await dial(toPort, "bench-sink");
const seen = new Uint8Array(messages);
const result = { ms: 0, received: 0, repeated: 0, disordered: 0 };
let last = -1;
const subscribed = Promise.withResolvers<void>();
const complete = Promise.withResolvers<void>();
packets(sink, (type, head, body) => {
  if (type === CONNACK) admitted(body);
  if (type === CONNACK)
    sink.write(
      mqttPacket.generate({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: [{ topic: `#`, qos: 1 }],
      }),
    );
  if (type === SUBACK) subscribed.resolve();
  if (type !== PUBLISH) return;
  const topicBytes = body.readUInt16BE(0);
  const qos = (head >> 1) & 3;
  const start = 2 + topicBytes + (qos > 0 ? 2 : 0);
  if (qos > 0) {
    const id = body.readUInt16BE(2 + topicBytes);
    sink.write(Buffer.from([0x40, 2, id >> 8, id & 0xff]));
  }
  // The agent's own readings and state come past as well.
  if (!body.toString("latin1", 2, 2 + topicBytes).endsWith(topic)) return;
  const number = Number(body.toString("latin1", start, start + 8));
  if (seen[number] === 1) result.repeated++;
  else {
    seen[number] = 1;
    result.received++;
    if (number < last) result.disordered++;
    last = number;
  }
  if (result.received === messages) complete.resolve();
});
await subscribed.promise;

const source = await dial(fromPort, "bench-source");
const filler = "r".repeat(PAYLOAD_BYTES - 8);
let sent = 0;
let acknowledged = 0;
const startedMs = performance.now();
function fill(): void {
  const batch: Buffer[] = [];
  for (; sent < messages && sent - acknowledged < IN_FLIGHT; sent++)
    batch.push(
      mqttPacket.generate({
        cmd: "publish",
        topic,
        payload: String(sent).padStart(8, "0") + filler,
        qos: 1,
        messageId: (sent % 65_535) + 1,
        dup: false,
        retain: false,
      }),
    );
  if (batch.length > 0) source.write(Buffer.concat(batch));
}
let filling = false;
packets(source, (type, _head, body) => {
  if (type === CONNACK) admitted(body);
  if (type === CONNACK) fill();
  if (type !== PUBACK) return;
  acknowledged++;
  if (filling) return;
  filling = true;
  setImmediate(() => {
    filling = false;
    fill();
  });
});
await complete.promise;
result.ms = performance.now() - startedMs;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
