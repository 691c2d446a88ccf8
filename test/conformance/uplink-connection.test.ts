import t, { type Test } from "tap";
import { MqttUplink } from "../../src/platform/mqtt/mqtt-uplink.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualReceiver } from "../../src/simulator/virtual-uplink.ts";
import {
  freePort,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";
import { type UplinkUnderTest, uplinkConnectionConformance } from "./uplink-connection.ts";

uplinkConnectionConformance(t, "VirtualUplink", (t) => {
  const clock = new VirtualClock();
  const receiver = new VirtualReceiver(clock);
  const ticking = setInterval(() => void clock.advance(10), 1);
  t.teardown(() => clearInterval(ticking));
  return Promise.resolve({
    connection: receiver.connect(),
    received: () => receiver.received.map(({ id }) => id),
    state: () => Promise.resolve(receiver.states.at(-1) ?? ""),
    inFlightMax: 100,
    cut: () => {
      receiver.reachable = false;
      return Promise.resolve();
    },
    restore: () => {
      receiver.reachable = true;
      return Promise.resolve();
    },
    close: () => {
      clearInterval(ticking);
      return Promise.resolve();
    },
  });
});

const mqtt =
  (protocol: "5" | "3.1.1") =>
  async (t: Test): Promise<UplinkUnderTest> => {
    const port = await freePort();
    // Mosquitto's own limit on what may be in flight towards it.
    const lines = ["max_inflight_messages 7"];
    const start = () => startMosquitto(t, { port, lines });
    let broker = await start();
    const watch = () =>
      subscribe(t, port, "fleet/agent-1/#", {
        format: "%P %p",
        args: ["-T", "fleet/agent-1/$state", "-R"],
      });
    let watcher = await watch();
    const before: string[] = [];
    const connection = new MqttUplink({
      url: broker.url,
      agentId: "agent-1",
      clientId: "agent-1",
      protocol,
      topicPrefix: "fleet",
      envelope: "auto",
      keepaliveSeconds: 30,
      connectTimeoutMs: 5_000,
      inFlightMax: 100,
      will: Buffer.from("lost"),
    });
    return {
      connection,
      received: () =>
        [...before, ...watcher.lines].flatMap((line) => /"?id"?:"?([^" ]+)/.exec(line)?.[1] ?? []),
      state: async () => {
        const args = ["-t", "fleet/agent-1/$state", "-C", "1", "-W", "10"];
        return (await mosquittoClient("mosquitto_sub", port, args)).output.trim();
      },
      inFlightMax: protocol === "5" ? 7 : 100,
      cut: async () => {
        before.push(...watcher.lines);
        await watcher.stop();
        await broker.kill();
      },
      restore: async () => {
        broker = await start();
        watcher = await watch();
      },
      close: async () => {
        await watcher.stop();
        await broker.stop();
      },
    };
  };

const missing = mosquittoMissing();
if (missing === false) {
  uplinkConnectionConformance(t, "MqttUplink with MQTT 5", mqtt("5"));
  uplinkConnectionConformance(t, "MqttUplink with MQTT 3.1.1", mqtt("3.1.1"));
} else t.test("MqttUplink", { skip: missing }, () => undefined);
