import { PowerSupply } from "../wire/agent_mesh/v1/record_pb.ts";
import type { SelfDescription } from "./records/record-codec.ts";
import type { AgentCapabilities, AgentHealth } from "./view.ts";

const SUPPLIES: Readonly<Record<number, AgentCapabilities["powerSupply"]>> = {
  [PowerSupply.MAINS]: "mains",
  [PowerSupply.BATTERY]: "battery",
};

/** @returns capabilities for people and programs, without what the wire form needs */
export function capabilitiesOf(
  said: SelfDescription["capabilities"],
): AgentCapabilities | undefined {
  if (said === undefined) return undefined;
  const { architecture, deviceModel, cpuCores, memoryBytes, powerSupply } = said;
  return {
    architecture: architecture ?? "",
    deviceModel: deviceModel ?? "",
    cpuCores: cpuCores ?? 0,
    memoryBytes: Number(memoryBytes ?? 0),
    powerSupply: SUPPLIES[powerSupply ?? 0] ?? "unknown",
    uplinks: said.uplinks ?? [],
    features: said.features ?? [],
  };
}

/** @returns health likewise; a value that was not said is absent */
export function healthOf(said: SelfDescription["health"]): AgentHealth | undefined {
  if (said === undefined) return undefined;
  const { status, powerMode, batteryPercent, cpuPercent, memoryPercent } = said;
  const { temperatureCelsius, queueUpdates, queueBytes, uplinkUp, relay } = said;
  return {
    status: status ?? "",
    powerMode: powerMode ?? "",
    ...(batteryPercent !== undefined && { batteryPercent }),
    ...(cpuPercent !== undefined && { cpuPercent }),
    ...(memoryPercent !== undefined && { memoryPercent }),
    ...(temperatureCelsius !== undefined && { temperatureCelsius }),
    ...(queueUpdates !== undefined && { queueUpdates: Number(queueUpdates) }),
    ...(queueBytes !== undefined && { queueBytes: Number(queueBytes) }),
    ...(uplinkUp !== undefined && { uplinkUp }),
    ...(relay !== undefined && { relayHops: (relay.route?.length ?? 0) + 1 }),
  };
}
