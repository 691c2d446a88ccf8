/**
 * A publisher and a subscriber in a process of their own, lean enough not to be what is measured:
 * `node load.ts FROM_PORT TO_PORT TOPIC MESSAGES`. Publishes QoS 1 with 256 in flight to one port, waits for
 * all of them at the other, and prints `{ms, received, repeated, disordered}` as JSON.
 */
import mqttPacket from "mqtt-packet";
import {
  admitted,
  CONNACK,
  dial,
  giveUpAfter,
  PAYLOAD_BYTES,
  PUBACK,
  PUBLISH,
  packets,
  publish,
  SUBACK,
} from "./mqtt-wire.ts";

const IN_FLIGHT = 256;

const [fromPort, toPort, topic = "", count] = process.argv.slice(2);
const messages = Number(count);

giveUpAfter(120_000);
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
    batch.push(publish(topic, String(sent).padStart(8, "0") + filler, sent));
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
