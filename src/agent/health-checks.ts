import type { DeviceView } from "../device/view.ts";
import type { QueueView } from "../outbox/view.ts";
import type { BrokerStatus } from "../platform/broker.ts";
import type { HealthCheck } from "./health.ts";

/**
 * What must be well for readings to be taken. An uplink that is down is not among it: an agent that keeps
 * readings through an outage does its work.
 */
export function healthOf(parts: {
  readonly queue: QueueView;
  readonly broker: BrokerStatus;
  readonly device: DeviceView;
}): readonly HealthCheck[] {
  const { storeFault } = parts.queue.status();
  const { connected, reason, url } = parts.broker;
  return [
    check("store", storeFault === undefined, storeFault),
    check("mqtt", connected, `${url}: ${reason ?? "not connected"}`),
    check("device", parts.device.latest() !== undefined, "no look at the device has succeeded yet"),
  ];
}

function check(name: string, ok: boolean, detail: string | undefined): HealthCheck {
  return ok || detail === undefined ? { name, ok } : { name, ok, detail };
}
