import { TokenStore } from "../access/tokens.ts";
import type { Config } from "../config/schema.ts";
import { chooseFirmwareProfile } from "../device/firmware-profile.ts";
import { ResourceMonitor } from "../device/resource-monitor.ts";
import { Outbox } from "../outbox/outbox.ts";
import { deviceReading } from "../readings/device-reading.ts";
import { Intake } from "../readings/intake.ts";
import { TopicMap } from "../readings/topic-map.ts";
import { registerAgentMetrics } from "../telemetry/agent-metrics.ts";
import { EventLog } from "../telemetry/event-log.ts";
import { Dispatcher } from "../uplink/dispatcher.ts";
import { Uplink } from "../uplink/uplink.ts";
import type { AgentContext, AgentPlatform, FrontDoor, RunInfo } from "./agent-platform.ts";
import { healthOf } from "./health-checks.ts";
import { Lifecycle } from "./lifecycle.ts";
import { stateDocument } from "./state-document.ts";
import { watchdog } from "./watchdog.ts";

/** A running agent. */
export interface Agent {
  readonly info: RunInfo;
  /** What REST shows, for tests and simulations too. */
  readonly context: AgentContext;
  /** Stops everything in order; what is queued stays on disk. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Puts an agent together and starts it: the road of a reading from the broker through the outbox to the
 * uplink, the body beside it, and the front door last, when there is something to show.
 * @param config complete, with `agent.id` set
 * @throws Error in words that name the setting to change; everything started by then is stopped again
 */
export async function startAgent(
  config: Config,
  agentId: string,
  platform: AgentPlatform,
): Promise<Agent> {
  const { clock, random, logger, hasher, metrics, probe, service, version } = platform;
  const startedAtMs = clock.wallMs();
  const lifecycle = new Lifecycle(clock, logger);
  const events = new EventLog({ clock, logger: logger.child("telemetry") });
  const topics = new TopicMap(config.mqtt.topics, config.outbox.expireAfterMs);

  // The disk, the device tree and the profiles are waited for together.
  const [store, identity, profiles] = await Promise.all([
    platform.openStore(),
    probe.identify(),
    platform.firmwareProfiles(),
  ]);
  await lifecycle.start({ name: "store", stop: () => store.close() });

  // What is opened before the first part starts must not keep the store locked when it fails.
  const opened = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      await lifecycle.stop();
      throw error;
    }
  };
  const tokens = await opened(() =>
    TokenStore.open({ store, clock, random, hasher, events, logger: logger.child("access") }),
  );
  const device = await opened(async () => {
    const chosen = chooseFirmwareProfile(profiles, identity, config.device.profile);
    return new ResourceMonitor({
      probe,
      clock,
      events,
      logger,
      identity,
      profile: chosen.profile,
      chosenBecause: chosen.because,
      options: { device: config.device, power: config.power, budget: config.budget },
    });
  });
  const outbox = await opened(() =>
    Outbox.open({
      store,
      clock,
      events,
      logger: logger.child("outbox"),
      agentId,
      options: config.outbox,
    }),
  );
  await lifecycle.start({ name: "outbox", stop: () => outbox.close() });

  const { updateBytesMax } = config.outbox;
  const intake = new Intake({ outbox, topics, events, updateBytesMax });
  const broker = platform.createBroker(config.mqtt, agentId);
  const state = (online: boolean): Uint8Array =>
    stateDocument({ online, agentId, version, startedAtMs, mode: device.power().mode });
  const dispatcher = new Dispatcher({ outbox, store, clock, logger: logger.child("uplink") });
  const uplinks = config.uplinks.map(
    (options) =>
      new Uplink({
        options,
        connection: platform.createUplink(options, agentId, state(false)),
        clock,
        random: random.fork(`uplink.${options.name}`),
        logger: logger.child("uplink"),
        events,
        state,
        changed: () => dispatcher.uplinkChanged(),
        command: (topic, payload) => {
          events.emit("uplink.command", { uplink: options.name, topic, bytes: payload.length });
          broker
            .publish({ topic: `commands/${topic}`, payload, qos: 1, retain: false })
            .catch((error: unknown) =>
              logger.warn("could not pass a command on", { topic, reason: String(error) }),
            );
        },
      }),
  );
  device.onPowerChange(({ settings }) => {
    dispatcher.configure(settings);
    dispatcher.stateChanged();
  });
  if (config.mqtt.deviceReadings)
    device.onSnapshot((snapshot) =>
      intake.append(deviceReading(snapshot), (refusal) => {
        if (refusal !== undefined) logger.warn("device reading not kept", { ...refusal });
      }),
    );
  const context: AgentContext = {
    agentId,
    version,
    startedAtMs,
    clock,
    logger: logger.child("api"),
    hasher,
    store,
    tokens,
    events,
    metrics,
    device,
    readings: intake,
    queue: outbox,
    uplinks: dispatcher,
    brokerStatus: () => broker.status(),
    health: () => healthOf({ queue: outbox, broker: broker.status(), device }),
  };
  registerAgentMetrics(metrics, { ...context });

  let door: FrontDoor | undefined;
  await lifecycle.start({
    name: "tokens",
    start: async () => {
      const first = await tokens.ensureFirstToken();
      if (first !== undefined) await platform.keepFirstToken(first);
    },
  });
  await lifecycle.start({
    name: "uplinks",
    start: () => dispatcher.start(uplinks),
    stop: () => dispatcher.stop(),
  });
  await lifecycle.start({
    name: "device",
    start: () => device.start(),
    stop: () => device.stop(),
  });
  dispatcher.configure(device.power().settings);
  await lifecycle.start({
    name: "broker",
    start: () => broker.start((message, settle) => intake.take(message, settle)),
    stop: () => broker.stop(),
  });
  await lifecycle.start({
    name: "api",
    start: async () => {
      door = await platform.openFrontDoor?.(context, config.api);
    },
    stop: () => door?.close(),
  });
  const info: RunInfo = {
    ...(door === undefined ? {} : { api: { url: door.url } }),
    mqtt: { url: broker.status().url },
  };
  await lifecycle.start(watchdog({ service, store, clock, queue: outbox, uplinks: dispatcher }));
  await lifecycle.start({
    name: "announcement",
    start: async () => {
      await platform.announce(info);
      service.ready();
      events.emit("agent.started", { version });
    },
    stop: () => {
      events.emit("agent.stopping", {});
      service.stopping();
    },
  });
  return { info, context, stop: () => lifecycle.stop() };
}
