import type { Test } from "tap";
import type { Broker, InboundMessage, Refusal } from "../../src/platform/broker.ts";
import { eventually } from "../support/mosquitto.ts";

/** One implementation with a publisher. */
export interface BrokerUnderTest {
  readonly broker: Broker;
  /** Once the broker was started and takes messages. */
  ready(): Promise<void>;
  /** Publishes, and tells when the publisher was thanked: PUBACK, PUBCOMP, or sent with QoS 0. */
  publish(topic: string, payload: string, qos: 0 | 1 | 2): Promise<"thanked" | "refused">;
  /** Topics and payloads that local clients get from {@link Broker.publish}. */
  heard(): readonly string[];
  /** The publisher's own acknowledgement waits for ours; false where another broker stands between. */
  readonly tellsRefusal: boolean;
  close(): Promise<void>;
}

/** What every {@link Broker} keeps to. */
export function brokerConformance(
  t: Test,
  name: string,
  make: (t: Test) => Promise<BrokerUnderTest>,
): void {
  for (const qos of [1, 2] as const)
    t.test(`${name}: a QoS ${qos} publisher is thanked when the message is settled`, async (t) => {
      const under = await make(t);
      const taken: { message: InboundMessage; settle: (refusal?: Refusal) => void }[] = [];
      await under.broker.start((message, settle) => taken.push({ message, settle }));
      await under.ready();
      t.equal(under.broker.status().connected, true);
      let thanked = 0;
      const publishing = [1, 2, 3].map(async (n) => {
        if ((await under.publish("sensors/a", String(n), qos)) === "thanked") thanked++;
      });
      await eventually(() => taken.length === 3, "three messages");
      t.same(
        taken.map(({ message }) => Buffer.from(message.payload).toString()),
        ["1", "2", "3"],
        "in the order of publishing, once each",
      );
      t.match(taken[0]?.message, { topic: "sensors/a", retain: false });
      if (under.tellsRefusal) t.equal(thanked, 0, "and not before");
      let stopped = false;
      const stopping = under.broker.stop().then(() => {
        stopped = true;
      });
      for (const { settle } of taken.slice(0, 2)) settle();
      await new Promise((resolve) => setTimeout(resolve, 20));
      t.equal(stopped, false, "stopping waits for what is being settled");
      for (const { settle } of taken.slice(2)) settle();
      await stopping;
      await under.broker.stop();
      t.equal(under.broker.status().connected, false);
      await under.close();
      await Promise.allSettled(publishing);
    });

  t.test(`${name}: every publisher is thanked, QoS 0 comes too, and empty payloads`, async (t) => {
    const under = await make(t);
    const payloads: string[] = [];
    await under.broker.start((message, settle) => {
      payloads.push(Buffer.from(message.payload).toString());
      setImmediate(settle);
    });
    await under.ready();
    t.equal(await under.publish("sensors/a", "one", 1), "thanked");
    t.equal(await under.publish("sensors/a", "two", 2), "thanked");
    t.equal(await under.publish("sensors/a", "", 1), "thanked");
    await under.publish("sensors/a", "zero", 0);
    await eventually(() => payloads.length === 4, "four messages");
    // Messages of different QoS may overtake each other (MQTT 5 section 4.6).
    t.same(payloads.toSorted(), ["", "one", "two", "zero"]);
    await under.broker.publish({
      topic: "commands/x",
      payload: Buffer.from("go"),
      qos: 1,
      retain: false,
    });
    await eventually(() => under.heard().length === 1, "the command");
    t.same(under.heard(), ["commands/x go"]);
    await under.broker.stop();
    await under.close();
  });

  t.test(`${name}: what is refused is not thanked for`, async (t) => {
    const under = await make(t);
    let refusals = 0;
    await under.broker.start((_, settle) => {
      if (++refusals <= 2) settle({ code: "outbox.full", message: "no room" });
      else settle();
    });
    await under.ready();
    if (under.tellsRefusal) {
      t.equal(await under.publish("sensors/a", "1", 1), "refused");
      t.equal(await under.publish("sensors/a", "2", 2), "refused");
    } else {
      void under.publish("sensors/a", "1", 1);
      await eventually(() => refusals >= 3, "another attempt");
      t.pass("it came again until it was taken");
    }
    await under.broker.stop();
    await under.close();
  });
}
