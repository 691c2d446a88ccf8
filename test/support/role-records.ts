// Devices as their records tell of them, for tests of roles.
import type { KnownRecord } from "../../src/mesh/records/known-record.ts";
import { signRecord } from "../../src/mesh/records/record-codec.ts";
import type { RecordVerifier } from "../../src/mesh/records/record-verifier.ts";
import type { Signer } from "../../src/platform/signer.ts";
import { PowerSupply } from "../../src/wire/agent_mesh/v1/record_pb.ts";

/** What matters of a device for its roles. */
export interface Device {
  readonly supply: "mains" | "battery" | "unknown";
  readonly cores: number;
  readonly memoryGiB: number;
  readonly batteryPercent?: number;
  readonly cpuPercent?: number;
  readonly memoryPercent?: number;
  readonly celsius?: number;
  readonly mode?: string;
  readonly status?: string;
  readonly uplinkUp?: boolean;
  readonly uplinks?: readonly string[];
  readonly features?: readonly string[];
  readonly addresses?: readonly string[];
}

const SUPPLIES = {
  mains: PowerSupply.MAINS,
  battery: PowerSupply.BATTERY,
  unknown: PowerSupply.UNSPECIFIED,
} as const;

/** A record as the device's agent would sign it. */
export function recordOf(
  signer: Signer,
  verifier: RecordVerifier,
  device: Device,
  sequence = 1,
  epoch = 1,
): KnownRecord {
  const { batteryPercent, cpuPercent, memoryPercent, celsius, uplinkUp } = device;
  const record = verifier.verify(
    signRecord(
      signer,
      {
        agentId: `agent-${signer.peerId.slice(-6)}`,
        version: "0.1.0",
        addresses: device.addresses ?? ["/ip4/192.0.2.1/tcp/4001"],
        capabilities: {
          architecture: "arm64",
          cpuCores: device.cores,
          memoryBytes: BigInt(device.memoryGiB * 2 ** 30),
          powerSupply: SUPPLIES[device.supply],
          uplinks: [...(device.uplinks ?? ["mqtt"])],
          features: [...(device.features ?? ["roles"])],
        },
        health: {
          status: device.status ?? "ok",
          powerMode: device.mode ?? "normal",
          ...(batteryPercent !== undefined && { batteryPercent }),
          ...(cpuPercent !== undefined && { cpuPercent }),
          ...(memoryPercent !== undefined && { memoryPercent }),
          ...(celsius !== undefined && { temperatureCelsius: celsius }),
          ...(uplinkUp !== undefined && { uplinkUp }),
        },
      },
      { epoch, sequence },
      false,
    ),
  );
  if (typeof record === "string") throw new Error(record);
  return record;
}
