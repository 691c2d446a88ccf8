import mqtt from "mqtt";
import t, { type Test } from "tap";
import { ClientBroker } from "../../src/platform/mqtt/client-broker.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { VirtualBroker } from "../../src/simulator/virtual-broker.ts";
import { brokerMemory } from "../support/broker-state.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually, mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { type BrokerUnderTest, brokerConformance } from "./broker.ts";

brokerConformance(t, "VirtualBroker", () => {
  const broker = new VirtualBroker();
  return Promise.resolve({
    broker,
    ready: () => Promise.resolve(),
    publish: async (topic, payload, qos) =>
      (await broker.receive(topic, Buffer.from(payload), qos)) === undefined
        ? "thanked"
        : "refused",
    heard: () =>
      broker.published.map(({ topic, payload }) => `${topic} ${Buffer.from(payload).toString()}`),
    tellsRefusal: true,
    close: () => Promise.resolve(),
  });
});

/** MQTT.js as the sensor and as the local client that hears commands. */
function sensor(
  t: Test,
  url: () => string,
  protocolVersion: 4 | 5,
): Pick<BrokerUnderTest, "publish" | "heard" | "ready"> & { end(): Promise<void> } {
  const heard: string[] = [];
  let client: mqtt.MqttClient | undefined;
  const publishOnce = (topic: string, payload: string, qos: 0 | 1 | 2) =>
    new Promise<"thanked" | "refused">((resolve) => {
      const lost = (): void => resolve("refused");
      client?.once("close", lost);
      client?.publish(topic, payload, { qos }, (error) => {
        client?.off("close", lost);
        resolve(error ? "refused" : "thanked");
      });
    });
  return {
    heard: () => heard,
    ready: async () => {
      client = mqtt.connect(url(), { protocolVersion, reconnectPeriod: 0, clientId: "sensor" });
      t.teardown(() => client?.end(true));
      client.on("error", () => undefined);
      client.on("message", (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
      await eventually(() => client?.connected === true, "the sensor's connection");
      await client.subscribeAsync("commands/#", { qos: 1 });
    },
    publish: async (topic, payload, qos) => {
      if (client?.connected !== true) {
        client?.reconnect();
        await eventually(() => client?.connected === true, "the sensor's return");
      }
      return publishOnce(topic, payload, qos);
    },
    end: () => client?.endAsync(true) ?? Promise.resolve(),
  };
}

for (const [version, memory] of [
  [4, brokerMemory()],
  [5, brokerMemory()],
  [5, undefined],
] as const) {
  const name = `MQTT ${version === 5 ? "5" : "3.1.1"}${memory === undefined ? ", no disk" : ""}`;
  brokerConformance(t, `EmbeddedBroker, ${name}`, (t) => {
    const broker = new EmbeddedBroker({
      host: "127.0.0.1",
      port: 0,
      clientsMax: 10,
      packetBytesMax: 100_000,
      receiveMaximum: 100,
      outboundBytesMax: 100_000,
      ...(memory === undefined ? {} : { memory }),
      logger: keptLog(),
    });
    t.teardown(() => broker.stop());
    const client = sensor(t, () => broker.status().url, version);
    return Promise.resolve({ broker, ...client, tellsRefusal: true, close: () => client.end() });
  });
}

const missing = mosquittoMissing();
if (missing === false)
  for (const protocol of ["5", "3.1.1"] as const)
    brokerConformance(t, `ClientBroker with Mosquitto, MQTT ${protocol}`, async (t) => {
      const mosquitto = await startMosquitto(t);
      const broker = new ClientBroker({
        url: mosquitto.url,
        clientId: "agent",
        protocol,
        filters: ["sensors/#"],
        keepaliveSeconds: 30,
        connectTimeoutMs: 5_000,
        receiveMaximum: 100,
        sessionExpirySeconds: 3_600,
        backoffMs: () => 20,
        logger: keptLog(),
      });
      t.teardown(() => broker.stop());
      const client = sensor(t, () => mosquitto.url, 5);
      return {
        ...client,
        broker,
        ready: async () => {
          await eventually(() => broker.status().connected, "the connection to Mosquitto");
          await client.ready();
        },
        // Mosquitto thanks the sensor itself; what it may forget is decided by our acknowledgement.
        publish: (topic, payload, qos) => {
          void client.publish(topic, payload, qos);
          return Promise.resolve("thanked");
        },
        tellsRefusal: false,
        close: async () => {
          await client.end();
          await mosquitto.stop();
        },
      };
    });
else t.test("ClientBroker", { skip: missing }, () => undefined);
