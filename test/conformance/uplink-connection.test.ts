import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { NeighbourUplink } from "../../src/mesh/relay/neighbour-uplink.ts";
import { HttpsUplink } from "../../src/platform/https/https-uplink.ts";
import { MqttUplink } from "../../src/platform/mqtt/mqtt-uplink.ts";
import { NatsUplink } from "../../src/platform/nats/nats-uplink.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualReceiver } from "../../src/simulator/virtual-uplink.ts";
import { BatchReceiver } from "../support/batch-receiver.ts";
import { freePort } from "../support/free-port.ts";
import {
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";
import { NatsServer, natsMissing } from "../support/nats-server.ts";
import { GUEST, HOST, HostUnderTest } from "../support/relay-host.ts";
import { SparkplugHost } from "../support/sparkplug-host.ts";
import { sparkplugUplink } from "../support/sparkplug-uplink.ts";
import { httpsOptions, natsOptions } from "../support/uplink-settings.ts";
import {
  outbound,
  type UplinkUnderTest,
  uplinkConnectionConformance,
} from "./uplink-connection.ts";

uplinkConnectionConformance(t, "VirtualUplink", (t) => {
  const clock = new VirtualClock();
  const receiver = new VirtualReceiver(clock);
  receiver.marks = () => new Map([["sensors/a", { through: 20, ranges: [] }]]);
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

uplinkConnectionConformance(t, "NeighbourUplink", async (t) => {
  const ground = await new HostUnderTest().start();
  const { clock, host } = ground;
  ground.known.set(GUEST, "agent-1");
  host.leases.onWaiting(() => void ground.deliver());
  const ticking = setInterval(() => void clock.advance(10), 1);
  t.teardown(() => clearInterval(ticking));
  const connection = new NeighbourUplink({
    name: "neighbour",
    agentId: "agent-1",
    via: [],
    hopsMax: 3,
    inFlightMax: 100,
    clock,
    events: { emit: () => undefined },
  });
  const candidate = { peer: HOST, agentId: "host", linked: true, route: [], loadPercent: 0 };
  let reachable = true;
  connection.attach({
    self: GUEST,
    candidates: () => [candidate],
    request: (_, bytes) =>
      reachable
        ? host.requests.answer(GUEST, bytes)
        : Promise.reject(new Error("there is no link")),
  });
  return {
    connection,
    received: () => ground.delivered.map(({ id }) => id),
    inFlightMax: 100,
    cut: () => {
      reachable = false;
      host.linkDown(GUEST);
      connection.linkDown(HOST);
      return Promise.resolve();
    },
    restore: () => {
      reachable = true;
      connection.seen(candidate, false);
      return Promise.resolve();
    },
    close: () => Promise.resolve(clearInterval(ticking)),
  };
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
      sync: "off",
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

for (const compression of ["gzip", "zstd", "none"] as const)
  uplinkConnectionConformance(t, `HttpsUplink with ${compression}`, async (t) => {
    const receiver = await BatchReceiver.start(t);
    const has = { through: 18, ranges: [[20, 20]] };
    receiver.marks = { status: 200, body: { marks: { "sensors/a": has } } };
    const connection = new HttpsUplink(httpsOptions(receiver.url, { compression }));
    return {
      connection,
      received: () => receiver.accepted,
      lossShowsInUse: true,
      inFlightMax: 100,
      cut: () => receiver.close(),
      restore: () => receiver.open(),
      close: () => receiver.close(),
    };
  });

const nats =
  (ordering: "window" | "strict") =>
  async (t: Test): Promise<UplinkUnderTest> => {
    const server = await NatsServer.start(t);
    const connection = new NatsUplink(natsOptions(server.url, { ordering }));
    let stored: readonly string[] = [];
    const state = { asking: true };
    const ask = async (): Promise<void> => {
      while (state.asking) {
        const messages = await server.stored("UPDATES").catch(() => []);
        const ids = messages
          .map(({ header }) => header.get("Nats-Msg-Id"))
          .filter((id) => id !== "");
        if (ids.length > 0) stored = ids;
        await delay(20);
      }
    };
    const asked = ask();
    return {
      connection,
      received: () => stored,
      state: () =>
        server.ask(async (manager) => {
          const subject = "fleet.agent-1.$state";
          const message = await manager.streams.getMessage("UPDATES", { last_by_subj: subject });
          return message?.string() ?? "";
        }),
      inFlightMax: 100,
      cut: () => server.kill(),
      restore: () => server.start(),
      close: async () => {
        state.asking = false;
        await asked;
        await server.stop();
      },
    };
  };

const sparkplug =
  (protocol: "5" | "3.1.1", qos: 0 | 1) =>
  async (t: Test): Promise<UplinkUnderTest> => {
    const port = await freePort();
    const start = () => startMosquitto(t, { port, lines: ["max_inflight_messages 7"] });
    let broker = await start();
    const host = await SparkplugHost.connect(t, broker.url);
    return {
      connection: sparkplugUplink({ urls: [broker.url], protocol, qos, inFlightMax: 100 }),
      // The wire carries no ids; these updates' values are their sequence numbers.
      received: () => host.values("sensors/a").map(({ value }) => outbound(Number(value)).id),
      state: async () => {
        await host.caughtUp();
        const told = host.seen.flatMap(({ payload }) => payload.metrics);
        return String(told.findLast(({ name }) => name === "Agent/State")?.value);
      },
      inFlightMax: protocol === "5" && qos === 1 ? 7 : 100,
      cut: () => broker.kill(),
      restore: async () => {
        broker = await start();
        await host.listening();
      },
      close: async () => {
        t.same(host.faults, []);
        await host.stop();
        await broker.stop();
      },
    };
  };

const noNats = natsMissing();
if (noNats === false) {
  uplinkConnectionConformance(t, "NatsUplink", nats("window"));
  uplinkConnectionConformance(t, "NatsUplink with strict ordering", nats("strict"));
} else t.test("NatsUplink", { skip: noNats }, () => undefined);

const missing = mosquittoMissing();
if (missing === false) {
  uplinkConnectionConformance(t, "MqttUplink with MQTT 5", mqtt("5"));
  uplinkConnectionConformance(t, "MqttUplink with MQTT 3.1.1", mqtt("3.1.1"));
  uplinkConnectionConformance(t, "SparkplugUplink with MQTT 5", sparkplug("5", 0));
  uplinkConnectionConformance(t, "SparkplugUplink with MQTT 3.1.1", sparkplug("3.1.1", 0));
  uplinkConnectionConformance(t, "SparkplugUplink with QoS 1", sparkplug("5", 1));
} else t.test("MqttUplink", { skip: missing }, () => undefined);
