import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { resolveConfig } from "../../src/config/resolve.ts";
import { type Config } from "../../src/config/schema.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { MqttUplink } from "../../src/platform/mqtt/mqtt-uplink.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import type { UplinkConnection } from "../../src/platform/uplink-connection.ts";
import { Intake } from "../../src/readings/intake.ts";
import { TopicMap } from "../../src/readings/topic-map.ts";
import { Departures } from "../../src/uplink/departures.ts";
import { Dispatcher } from "../../src/uplink/dispatcher.ts";
import type { UplinkOptions } from "../../src/uplink/options.ts";
import { Uplink } from "../../src/uplink/uplink.ts";
import { type KeptLog, keptLog } from "./kept-log.ts";

/** The road of a reading on real things: broker, disk, uplink. */
export interface Road {
  readonly log: KeptLog;
  readonly outbox: Outbox;
  readonly intake: Intake;
  readonly dispatcher: Dispatcher;
  readonly port: number;
  stop(): Promise<void>;
}

function connectionOf(options: UplinkOptions, agentId: string): UplinkConnection {
  if (options.kind !== "mqtt") throw new Error(`the road has no ${options.kind}`);
  return new MqttUplink({ ...options, agentId, clientId: agentId, will: Buffer.from("") });
}

/** @param sets configuration, as with `--set` */
export async function openRoad(
  t: Test,
  sets: readonly string[],
  directory = mkdtempSync(join(tmpdir(), "road-")),
): Promise<Road> {
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const config: Config = resolveConfig({ sets: ["mqtt.broker.port=0", ...sets] });
  const log = keptLog();
  const clock = new SystemClock();
  const events = { emit: () => undefined };
  const store = await LevelStore.open({ directory: join(directory, "store"), logger: log });
  const agentId = "agent-1";
  const outbox = await Outbox.open({
    store,
    clock,
    events,
    logger: log,
    agentId,
    options: config.outbox,
  });
  const topics = new TopicMap(config.mqtt.topics, config.outbox.expireAfterMs);
  const { updateBytesMax } = config.outbox;
  const intake = new Intake({ outbox, topics, events, updateBytesMax });
  const dispatcher = new Dispatcher({
    departures: new Departures(outbox),
    store,
    clock,
    logger: log,
    events,
  });
  const uplinks = config.uplinks.map(
    (options) =>
      new Uplink({
        options,
        connection: connectionOf(options, agentId),
        store,
        clock,
        random: new SystemRandom(),
        logger: log,
        events,
        changed: () => dispatcher.uplinkChanged(),
        command: () => undefined,
        state: () => Buffer.from("state"),
      }),
  );
  await dispatcher.start(uplinks);
  const broker = new EmbeddedBroker({
    ...config.mqtt.broker,
    tls: undefined,
    memory: { store, clock, limits: config.mqtt.broker },
    logger: log,
  });
  await broker.start((message, settle) => intake.take(message, settle));
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      await broker.stop();
      await dispatcher.stop();
      await outbox.close();
      await store.close();
    })();
    return stopped;
  };
  t.teardown(stop);
  const port = Number(new URL(broker.status().url).port);
  return { log, outbox, intake, dispatcher, port, stop };
}
