import { NodeMemory } from "../../src/platform/mqtt/sparkplug/node-memory.ts";
import {
  SparkplugUplink,
  type SparkplugUplinkOptions,
} from "../../src/platform/mqtt/sparkplug/sparkplug-uplink.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { type KeptLog, keptLog } from "./kept-log.ts";

/** An edge node `plant/edge-1` on a real connection, with a memory that lasts as long as `store`. */
export function sparkplugUplink(
  options: Pick<SparkplugUplinkOptions, "urls"> & Partial<SparkplugUplinkOptions>,
  ground: { readonly log?: KeptLog; readonly store?: MemoryKeyValueStore } = {},
): SparkplugUplink {
  const { log = keptLog(), store = new MemoryKeyValueStore() } = ground;
  return new SparkplugUplink(
    {
      name: "scada",
      groupId: "plant",
      edgeNodeId: "edge-1",
      clientId: "edge-1",
      deviceLevels: 0,
      deviceSilenceMs: 0,
      aliases: false,
      metricsMax: 1_000,
      protocol: "auto",
      qos: 0,
      primaryHostWaitMs: 5_000,
      keepaliveSeconds: 30,
      connectTimeoutMs: 5_000,
      inFlightMax: 512,
      ...options,
    },
    { clock: new SystemClock(), logger: log, memory: new NodeMemory(store, log, "scada", "") },
  );
}
