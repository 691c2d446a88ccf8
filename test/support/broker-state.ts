import type { StateLimits } from "../../src/platform/mqtt/broker-state/limits.ts";
import type { EmbeddedBrokerOptions } from "../../src/platform/mqtt/embedded-broker.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";

/** Bounds that no test reaches by accident. */
export const stateLimits: StateLimits = {
  sessionsMax: 100,
  subscriptionsPerSessionMax: 100,
  sessionExpirySecondsMax: 7 * 86_400,
  queuedBytesPerSessionMax: 1_048_576,
  queuedBytesMax: 4_194_304,
  retainedMax: 2_000,
  retainedBytesMax: 1_048_576,
};

/** What a broker remembers on a disk of its own. */
export function brokerMemory(
  store: MemoryKeyValueStore = new MemoryKeyValueStore(),
): NonNullable<EmbeddedBrokerOptions["memory"]> {
  return { store, clock: new SystemClock(), limits: stateLimits };
}
