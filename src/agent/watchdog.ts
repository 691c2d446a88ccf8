import type { QueueView } from "../outbox/view.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { ServiceManager } from "../platform/service-manager.ts";
import type { UplinkView } from "../uplink/view.ts";
import type { Part } from "./lifecycle.ts";

const STATUS_INTERVAL_MS = 60_000;

/**
 * Tells the service manager that the agent lives: only from a turn of the event loop, and only after the
 * store has answered. A loop that hangs or a disk that never answers therefore ends in a restart.
 */
export function watchdog(parts: {
  readonly service: ServiceManager;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly queue: QueueView;
  readonly uplinks: UplinkView;
}): Part {
  const { service, store, clock } = parts;
  const intervalMs = Math.min(STATUS_INTERVAL_MS, (service.watchdogIntervalMs ?? Infinity) / 3);
  let timer: Timer | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    try {
      await store.get("m/counters");
      service.watchdog();
      service.status(statusLine(parts));
    } catch {
      // A store that answers with an error is alive; the queue reports the fault, and restarting mends nothing.
      service.watchdog();
    }
    if (!stopped) timer = clock.setTimer("agent.watchdog", intervalMs, () => void look());
  };
  return {
    name: "watchdog",
    start: () => {
      void look();
    },
    stop: () => {
      stopped = true;
      timer?.cancel();
    },
  };
}

function statusLine(parts: { readonly queue: QueueView; readonly uplinks: UplinkView }): string {
  const { updates } = parts.queue.status();
  const uplinks = parts.uplinks.status().map(({ name, state }) => `${name} ${state}`);
  return `${updates} updates queued; uplinks: ${uplinks.join(", ") || "none configured"}`;
}
