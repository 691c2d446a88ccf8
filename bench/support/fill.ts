/**
 * A publisher in a process of its own: `node fill.ts PORT TOPIC MESSAGES [PER_SECOND]`. Publishes readings with
 * QoS 1 and 256 in flight, at most so many a second where that is given, and prints `{ms}` when all of them are
 * acknowledged.
 */
import {
  admitted,
  CONNACK,
  dial,
  giveUpAfter,
  PUBACK,
  packets,
  publish,
  reading,
} from "./mqtt-wire.ts";

const IN_FLIGHT = 256;
/** Sending an eighth of the window at once is what Mosquitto takes most of. */
const REFILL_BELOW = IN_FLIGHT - IN_FLIGHT / 8;
const MADE_MAX = 300_000;
const [port, topic = "", count, perSecond] = process.argv.slice(2);
const messages = Number(count);
const rate = Number(perSecond ?? Number.POSITIVE_INFINITY);

giveUpAfter(600_000);
// What is made beforehand takes nothing from the broker that is measured.
const made = Array.from({ length: Math.min(messages, MADE_MAX) }, (_, number) => encode(number));
const source = await dial(port, "bench-fill");
const done = Promise.withResolvers<void>();
let sent = 0;
let acknowledged = 0;
let startedMs = 0;
function encode(number: number): Buffer {
  return publish(topic, reading(number), number);
}
function fill(): void {
  const due = Math.min(messages, rate * ((performance.now() - startedMs) / 1_000));
  const batch: Buffer[] = [];
  for (; sent < due && sent - acknowledged < IN_FLIGHT; sent++)
    batch.push(made[sent] ?? encode(sent));
  if (batch.length > 0) source.write(Buffer.concat(batch));
}
let filling = false;
packets(source, (type, _head, body) => {
  if (type === CONNACK) {
    admitted(body);
    startedMs = performance.now();
    if (Number.isFinite(rate)) setInterval(fill, 5).unref();
    fill();
  }
  if (type !== PUBACK) return;
  acknowledged++;
  if (acknowledged === messages) done.resolve();
  if (filling || sent - acknowledged > REFILL_BELOW) return;
  filling = true;
  setImmediate(() => {
    filling = false;
    fill();
  });
});
await done.promise;
process.stdout.write(`${JSON.stringify({ ms: performance.now() - startedMs })}\n`);
process.exit(0);
