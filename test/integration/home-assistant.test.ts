// Discovery messages as Home Assistant would find them on a real broker.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { Announcer } from "../../src/platform/mqtt/home-assistant/announcer.ts";
import { MqttUplink } from "../../src/platform/mqtt/mqtt-uplink.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { outbound, Witness } from "../conformance/uplink-connection.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { keptLog } from "../support/kept-log.ts";
import {
  eventually,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";

interface Config {
  readonly state_topic: string;
  readonly value_template: string;
  readonly availability: readonly { topic: string }[];
}

const skip = mosquittoMissing();

for (const protocol of ["5", "3.1.1"] as const)
  t.test(
    `MQTT ${protocol}: newcomers find retained configurations that fit what is sent`,
    { skip },
    async (t) => {
      const broker = await startMosquitto(t);
      const store = new MemoryKeyValueStore();
      const uplink = (enabled: boolean) =>
        new MqttUplink({
          url: broker.url,
          agentId: "pi-1",
          clientId: "pi-1",
          protocol,
          topicPrefix: "fleet",
          envelope: "auto",
          keepaliveSeconds: 30,
          connectTimeoutMs: 5_000,
          inFlightMax: 10,
          sync: "off",
          will: Buffer.from('{"state":"offline"}'),
          announcer: new Announcer({
            enabled,
            prefix: "homeassistant",
            entitiesMax: 10,
            forgetAfterDays: 0,
            uplinkName: "up",
            device: { agentId: "pi-1", version: "1" },
            store,
            clock: new SystemClock(),
            logger: keptLog(),
          }),
        });
      const retained = async () => {
        const args = ["-t", "homeassistant/#", "--retained-only", "-W", "1", "-F", "%t %p"];
        const { output } = await mosquittoClient("mosquitto_sub", broker.port, args);
        return output.split("\n").filter((line) => line.startsWith("homeassistant/"));
      };
      const connection = uplink(true);
      const witness = new Witness();
      witness.connect(connection);
      await witness.until(1);
      connection.publishState(Buffer.from('{"state":"online"}'));
      const seen = await subscribe(t, broker.port, "fleet/pi-1/#", { format: "%t %p" });
      let acknowledged = 0;
      const payload = Buffer.from('{"temp":21.5,"deep":{"ok":true}}');
      const update = outbound(1, { agentId: "pi-1", payload, contentType: "application/json" });
      connection.send(update, () => acknowledged++);
      await eventually(() => acknowledged === 1 && seen.lines.length >= 2);
      const lines = await retained();
      t.equal(lines.length, 2);
      for (const line of lines) {
        const config = JSON.parse(line.slice(line.indexOf("{"))) as Config;
        t.equal(config.state_topic, "fleet/pi-1/sensors/a");
        t.same(config.availability[0]?.topic, "fleet/pi-1/$state");
        const sent = seen.lines.find((each) => each.startsWith(`${config.state_topic} `)) ?? "";
        let value: unknown = JSON.parse(sent.slice(sent.indexOf("{")));
        for (const [, step = ""] of config.value_template.matchAll(/\['([^']+)'\]/g))
          value = (value as Record<string, unknown>)[step];
        t.ok(value === 21.5 || value === true, config.value_template);
      }
      const again = await subscribe(t, broker.port, "homeassistant/#", { args: ["-R"] });
      await mosquittoClient("mosquitto_pub", broker.port, [
        "-t",
        "homeassistant/status",
        "-m",
        "online",
      ]);
      await eventually(() => again.lines.filter((line) => line.includes("/config ")).length === 2);
      await again.stop();
      await connection.disconnect();

      const off = uplink(false);
      witness.connect(off);
      await witness.until(2);
      await eventually(async () => (await retained()).length === 0, "entities taken back");
      await off.disconnect();
      await seen.stop();
    },
  );

t.test("an agent announces itself under the name of its device", { skip }, async (t) => {
  const broker = await startMosquitto(t);
  const data = mkdtempSync(join(tmpdir(), "home-assistant-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const uplink = { name: "home", kind: "mqtt", url: broker.url, homeAssistant: { enabled: true } };
  const sets = ["agent.id=pi-1", `uplinks=${JSON.stringify([uplink])}`];
  const agent = await AgentProcess.start(t, data, sets);
  const found = await subscribe(t, broker.port, "homeassistant/#");
  const args = ["-t", "sensors/room", "-m", '{"humidity":40}', "-q", "1"];
  await mosquittoClient("mosquitto_pub", agent.mqttPort, args);
  await eventually(() => found.lines.length > 0, "the configuration");
  const [topic = "", config = ""] = found.lines[0]?.split(/ (.*)/) ?? [];
  t.match(topic, /^homeassistant\/sensor\/pi-1\/sensors_room_humidity/);
  t.match(JSON.parse(config), {
    device_class: "humidity",
    state_topic: "agent-mesh/pi-1/sensors/room",
    device: { name: "pi-1", model: String, sw_version: /^\d+\.\d+\.\d+/ },
  });
  await found.stop();
  await agent.stop();
});
