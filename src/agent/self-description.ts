import type { DeviceView, ResourceSnapshot } from "../device/view.ts";
import type { SelfDescription } from "../mesh/records/record-codec.ts";
import type { QueueView } from "../outbox/view.ts";
import type { UplinkView } from "../uplink/view.ts";
import { PowerSupply } from "../wire/agent_mesh/v1/record_pb.ts";
import type { HealthCheck } from "./health.ts";

/** What an agent's record is made of. */
export interface SelfParts {
  readonly agentId: string;
  readonly version: string;
  readonly device: DeviceView;
  readonly queue: QueueView;
  readonly uplinks: UplinkView;
  /** What it offers beyond the base. */
  readonly features: readonly string[];
  /** The way that neighbours' updates take over this agent; undefined while it takes none. */
  relayOffer(): { readonly route: readonly string[]; readonly loadPercent: number } | undefined;
  health(): readonly HealthCheck[];
}

/** @returns what the agent tells the fleet of itself; addresses are the node's to add */
export function describeSelf(parts: SelfParts): SelfDescription {
  const { agentId, version, device, queue, uplinks, features } = parts;
  const identity = device.identity();
  const sample = device.latest()?.sample;
  const { updates, bytes } = queue.status();
  const ways = uplinks.status();
  const relay = parts.relayOffer();
  const battery = batteryPercent(sample);
  const memory = sample?.memory.available === true ? sample.memory : undefined;
  const cpu = sample?.cpu.available === true ? sample.cpu : undefined;
  const thermal = sample?.thermal.available === true ? sample.thermal : undefined;
  return {
    agentId,
    version,
    addresses: [],
    capabilities: {
      architecture: identity.architecture.slice(0, 64),
      deviceModel: identity.model.slice(0, 128),
      cpuCores: cpu?.cores ?? 0,
      memoryBytes: BigInt(memory?.totalBytes ?? 0),
      powerSupply: supplyOf(sample),
      uplinks: [...new Set(ways.map(({ kind }) => kind))],
      features: [...features],
    },
    health: {
      status: parts.health().every(({ ok }) => ok) ? "ok" : "degraded",
      powerMode: device.power().mode,
      queueUpdates: BigInt(updates),
      queueBytes: BigInt(bytes),
      ...(ways.length > 0 && { uplinkUp: ways.some(({ state }) => state === "up") }),
      ...(relay !== undefined && { relay: { ...relay, route: [...relay.route] } }),
      ...(battery !== undefined && { batteryPercent: battery }),
      ...(cpu?.usedPercent !== undefined && { cpuPercent: Math.round(cpu.usedPercent) }),
      ...(memory !== undefined && {
        memoryPercent: Math.round(100 - (100 * memory.availableBytes) / memory.totalBytes),
      }),
      ...(thermal !== undefined && { temperatureCelsius: Math.round(thermal.celsius) }),
    },
  };
}

/**
 * @returns whether the fleet should hear of it before its time: what is slow to change may wait
 */
export function isNews(before: SelfDescription, after: SelfDescription): boolean {
  if (before.capabilities?.powerSupply !== after.capabilities?.powerSupply) return true;
  const [a, b] = [before.health, after.health];
  if (a === undefined || b === undefined) return a !== b;
  return (
    a.status !== b.status ||
    a.powerMode !== b.powerMode ||
    a.uplinkUp !== b.uplinkUp ||
    a.relay?.route?.join() !== b.relay?.route?.join() ||
    moved(a.relay?.loadPercent, b.relay?.loadPercent, 20) ||
    moved(a.batteryPercent, b.batteryPercent, 5) ||
    moved(a.temperatureCelsius, b.temperatureCelsius, 10)
  );
}

function moved(before: number | undefined, after: number | undefined, by: number): boolean {
  return before === undefined || after === undefined
    ? before !== after
    : Math.abs(before - after) >= by;
}

function batteryPercent(sample: ResourceSnapshot["sample"] | undefined): number | undefined {
  if (sample?.battery.available !== true) return undefined;
  const { chargePercent } = sample.battery;
  return chargePercent === undefined ? undefined : Math.round(chargePercent);
}

function supplyOf(sample: ResourceSnapshot["sample"] | undefined): PowerSupply {
  if (sample === undefined) return PowerSupply.UNSPECIFIED;
  return sample.battery.available ? PowerSupply.BATTERY : PowerSupply.MAINS;
}
