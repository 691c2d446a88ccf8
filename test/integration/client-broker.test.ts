import t, { type Test } from "tap";
import type { InboundMessage, Refusal } from "../../src/platform/broker.ts";
import { ClientBroker } from "../../src/platform/mqtt/client-broker.ts";
import { fakeBroker, welcome } from "../support/fake-broker.ts";
import { freePort } from "../support/free-port.ts";
import { type KeptLog, keptLog } from "../support/kept-log.ts";
import {
  eventually,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
} from "../support/mosquitto.ts";

const skip = mosquittoMissing();

interface Taken {
  readonly text: string;
  readonly settle: (refusal?: Refusal) => void;
}

async function client(
  t: Test,
  url: string,
): Promise<{ broker: ClientBroker; taken: Taken[]; log: KeptLog }> {
  const log = keptLog();
  const broker = new ClientBroker({
    url,
    clientId: "agent",
    protocol: "5",
    filters: ["sensors/#"],
    keepaliveSeconds: 30,
    connectTimeoutMs: 5_000,
    receiveMaximum: 100,
    sessionExpirySeconds: 3_600,
    backoffMs: () => 20,
    logger: log,
  });
  const taken: Taken[] = [];
  await broker.start((message: InboundMessage, settle) =>
    taken.push({ text: Buffer.from(message.payload).toString(), settle }),
  );
  t.teardown(() => {
    for (const { settle } of taken.splice(0)) settle();
    return broker.stop();
  });
  return { broker, taken, log };
}

t.test("Mosquitto keeps what was not acknowledged, also while we are away", { skip }, async (t) => {
  const mosquitto = await startMosquitto(t);
  const publish = (text: string, ...more: readonly string[]) =>
    mosquittoClient("mosquitto_pub", mosquitto.port, [
      "-q",
      "1",
      "-t",
      "sensors/a",
      "-m",
      text,
      ...more,
    ]);
  await publish("old news", "-r");
  const first = await client(t, mosquitto.url);
  await eventually(() => first.broker.status().connected, "a connection");
  await publish("1");
  await publish("2");
  await eventually(() => first.taken.length === 2, "two messages");
  t.equal(first.taken[0]?.text, "1", "what was retained before is no news");
  first.taken[0]?.settle();
  first.taken[1]?.settle({ code: "outbox.full", message: "no room" });
  await eventually(() => first.taken.length === 3, "the refused one again");
  t.equal(first.taken[2]?.text, "2");
  t.match(first.log.lines, [
    {},
    { level: "warn", fields: { reason: "reading refused, so not acknowledged: no room" } },
  ]);
  first.taken[2]?.settle();
  await first.broker.stop();
  await publish("3");
  const second = await client(t, mosquitto.url);
  await eventually(() => second.taken.length === 1, "what came meanwhile");
  t.equal(second.taken[0]?.text, "3");
  second.taken[0]?.settle();
  await second.broker.stop();
  await mosquitto.stop();
});

t.test("the broker may come up after us, and come back", { skip }, async (t) => {
  const port = await freePort();
  const { broker, taken } = await client(t, `mqtt://127.0.0.1:${port}`);
  await eventually(() => /nobody listens/.test(broker.status().reason ?? ""), "a reason");
  await t.rejects(
    broker.publish({ topic: "a", payload: Buffer.from(""), qos: 0, retain: false }),
    /not connected/,
  );
  for (let round = 1; round <= 2; round++) {
    const mosquitto = await startMosquitto(t, { port });
    await eventually(() => broker.status().connected, "a connection");
    await mosquittoClient("mosquitto_pub", port, ["-q", "1", "-t", "sensors/a", "-m", `${round}`]);
    await eventually(() => taken.length === round, "the message");
    taken[round - 1]?.settle();
    await mosquitto.kill();
    await eventually(() => !broker.status().connected, "the loss");
  }
  await broker.stop();
});

t.test("a QoS 2 message that comes again before its release is one message", async (t) => {
  const acknowledged: string[] = [];
  const publish = (messageId: number, dup: boolean) =>
    ({
      cmd: "publish",
      topic: "sensors/a",
      qos: 2,
      retain: false,
      messageId,
      dup,
      payload: Buffer.from(String(messageId)),
    }) as const;
  const fake = await fakeBroker(t, (packet, { send }) => {
    if (packet.cmd === "connect") send(welcome());
    if (packet.cmd === "subscribe") {
      send({ cmd: "suback", messageId: packet.messageId ?? 1, granted: [2] });
      send(publish(1, false));
    }
    if (packet.cmd !== "pubrec" && packet.cmd !== "pubcomp") return;
    acknowledged.push(`${packet.cmd} ${packet.messageId}`);
    if (acknowledged.length === 1) send(publish(1, true));
    else if (packet.cmd === "pubrec") send({ cmd: "pubrel", messageId: packet.messageId ?? 0 });
    else if (acknowledged.length === 3) send(publish(1, false));
  });
  const { broker, taken } = await client(t, fake.url);
  await eventually(() => taken.length === 1, "the message");
  t.same(acknowledged, [], "no PUBREC before it is settled");
  taken[0]?.settle();
  await eventually(() => taken.length === 2, "another message under the same number");
  t.same(acknowledged, ["pubrec 1", "pubrec 1", "pubcomp 1"]);
  taken[1]?.settle();
  await broker.stop();
});
