import type { AgentPlatform } from "../agent/agent-platform.ts";
import { type FirmwareProfile, parseFirmwareProfile } from "../device/firmware-profile.ts";
import type { Logger } from "../platform/logger.ts";
import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import { MemoryKeyValueStore, VirtualDisk } from "./memory-key-value-store.ts";
import { plainHasher } from "./plain-hasher.ts";
import { VirtualBroker } from "./virtual-broker.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { VirtualDevice } from "./virtual-device.ts";
import { VirtualReceiver } from "./virtual-uplink.ts";

/** A world with one device in it. It outlives the agent: disk, receiver and body stay when it restarts. */
export class VirtualWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly disk = new VirtualDisk();
  readonly device = new VirtualDevice();
  /** What every uplink reaches that has no receiver of its own in {@link receivers}. */
  readonly receiver: VirtualReceiver;
  /** By the uplink's name. */
  readonly receivers = new Map<string, VirtualReceiver>();
  /** The broker of the agent that started last. */
  broker = new VirtualBroker();
  readonly logged: { level: string; message: string; fields: unknown }[] = [];
  firstToken: string | undefined;

  constructor(seed: string | number) {
    this.random = new SeededRandom(seed);
    this.receiver = new VirtualReceiver(this.clock);
  }

  /** The ground for one run of an agent in this world. */
  platform(): AgentPlatform {
    const broker = new VirtualBroker();
    this.broker = broker;
    return {
      version: "0.0.0-simulated",
      clock: this.clock,
      random: this.random,
      logger: this.#logger(),
      hasher: plainHasher,
      metrics: noMetrics,
      probe: this.device,
      service: {
        watchdogIntervalMs: undefined,
        ready: () => undefined,
        stopping: () => undefined,
        status: () => undefined,
        watchdog: () => undefined,
      },
      firmwareProfiles: () => Promise.resolve([anyDevice()]),
      openStore: () => Promise.resolve(new MemoryKeyValueStore(this.disk)),
      createBroker: () => broker,
      createUplink: ({ name }) => (this.receivers.get(name) ?? this.receiver).connect(),
      keepFirstToken: (token) => {
        this.firstToken = token;
        return Promise.resolve();
      },
      announce: () => Promise.resolve(),
    };
  }

  #logger(): Logger {
    const at = (level: string) => (message: string, fields: unknown) => {
      if (level !== "debug") this.logged.push({ level, message, fields });
    };
    const logger: Logger = {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: () => logger,
    };
    return logger;
  }
}

function anyDevice(): FirmwareProfile {
  return parseFirmwareProfile("virtual", {
    id: "virtual",
    name: "Virtual device",
    budget: { memoryBytesMax: 268_435_456, cpuPercentMax: 50 },
  });
}

const noMetrics: MetricsRegistry = {
  add: () => undefined,
  expose: () => Promise.resolve({ contentType: "text/plain", body: "" }),
};
