/**
 * A subscriber in a process of its own: `node sink.ts PORT TOPIC MESSAGES`. Prints `ready` when it has subscribed
 * with QoS 1, and `{ms, repeated, disordered}` when so many different readings have come: `ms` from the first to
 * the last.
 */
import mqttPacket from "mqtt-packet";
import { admitted, CONNACK, dial, giveUpAfter, PUBLISH, packets, SUBACK } from "./mqtt-wire.ts";

const [port, topic = "", count] = process.argv.slice(2);
const messages = Number(count);

giveUpAfter(600_000);
const sink = await dial(port, `bench-sink-${process.pid}`);
const seen = new Uint8Array(messages);
const result = { ms: 0, repeated: 0, disordered: 0 };
let received = 0;
let last = -1;
let firstMs = 0;
const complete = Promise.withResolvers<void>();
const acks: Buffer[] = [];
packets(sink, (type, head, body) => {
  if (type === CONNACK) {
    admitted(body);
    const subscriptions = [{ topic: "#", qos: 1 as const }];
    sink.write(mqttPacket.generate({ cmd: "subscribe", messageId: 1, subscriptions }));
  }
  if (type === SUBACK) process.stdout.write("ready\n");
  if (type !== PUBLISH) return;
  const topicBytes = body.readUInt16BE(0);
  const qos = (head >> 1) & 3;
  const start = 2 + topicBytes + (qos > 0 ? 2 : 0);
  if (qos > 0) acknowledge(body.subarray(2 + topicBytes, start));
  // The agent's own readings and state come past as well.
  if (!body.toString("latin1", 2, 2 + topicBytes).endsWith(topic)) return;
  const number = Number(body.toString("latin1", start, start + 8));
  if (received === 0) firstMs = performance.now();
  if (seen[number] === 1) result.repeated++;
  else {
    seen[number] = 1;
    received++;
    if (number < last) result.disordered++;
    last = number;
  }
  if (received === messages) complete.resolve();
});

function acknowledge(id: Buffer): void {
  if (acks.length === 0)
    setImmediate(() => {
      sink.write(Buffer.concat(acks));
      acks.length = 0;
    });
  acks.push(Buffer.from([0x40, 2, id[0] ?? 0, id[1] ?? 0]));
}

await complete.promise;
result.ms = performance.now() - firstMs;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
