import type {
  DeviceIdentity,
  DeviceProbe,
  DeviceSample,
  ProbeHints,
} from "../platform/device-probe.ts";

const CORES = 4;
const ZONE = "cpu-thermal";
const ABSENT = { available: false, reason: "not simulated" } as const;

interface VirtualBattery {
  readonly chargePercent: number;
  readonly charging: boolean;
}

/** The body of a simulated device: whatever the script says at the moment. */
export class VirtualDevice implements DeviceProbe {
  #battery: VirtualBattery | undefined;
  #lowestPercent = 100;
  celsius = 45;
  cpuPercent = 10;
  diskFreeBytes = 8e9;
  samples = 0;
  #hints: ProbeHints | undefined;

  /** Absent: mains power. */
  get battery(): VirtualBattery | undefined {
    return this.#battery;
  }

  set battery(battery: VirtualBattery | undefined) {
    this.#battery = battery;
    this.#lowestPercent = Math.min(this.#lowestPercent, battery?.chargePercent ?? 100);
  }

  /** @returns the lowest charge since this was asked last */
  takeLowestPercent(): number {
    const lowest = this.#lowestPercent;
    this.#lowestPercent = this.#battery?.chargePercent ?? 100;
    return lowest;
  }

  identify(): Promise<DeviceIdentity> {
    return Promise.resolve({
      model: "Virtual device",
      compatible: [],
      hostname: "virtual",
      kernel: "0",
      architecture: "virtual",
      operatingSystem: "simulator",
    });
  }

  configure(hints: ProbeHints): void {
    this.#hints = hints;
  }

  sample(): Promise<DeviceSample> {
    this.samples++;
    const { battery, celsius } = this;
    const excluded =
      this.#hints?.thermalZonesExcluded.some((name) => name === ZONE || name === "*") === true;
    return Promise.resolve({
      cpu: {
        available: true,
        cores: CORES,
        // Use is a difference of two samples.
        ...(this.samples > 1
          ? { usedPercent: this.cpuPercent, perCorePercent: Array(CORES).fill(this.cpuPercent) }
          : {}),
        load1: 0.4,
        load5: 0.4,
        load15: 0.4,
      },
      memory: {
        available: true,
        totalBytes: 1e9,
        availableBytes: 6e8,
        swapTotalBytes: 0,
        swapFreeBytes: 0,
      },
      thermal: excluded
        ? { available: false, reason: "the profile excludes every zone" }
        : { available: true, celsius, zones: [{ name: ZONE, celsius }] },
      battery:
        battery === undefined || this.#hints?.battery.length === 0
          ? { available: false, reason: "no battery" }
          : {
              available: true,
              name: "virtual",
              chargePercent: battery.chargePercent,
              state: battery.charging ? "charging" : "discharging",
            },
      disk: {
        available: true,
        path: "/data",
        totalBytes: 16e9,
        freeBytes: this.diskFreeBytes,
        inodesFree: 1e6,
        readOnly: false,
      },
      process: { available: true, residentBytes: 8e7, cpuMs: this.samples },
      uptimeMs: { available: true, value: this.samples * 1_000 },
      pressure: ABSENT,
      throttling: ABSENT,
      powerRails: ABSENT,
      flashWear: ABSENT,
      network: ABSENT,
      gpu: ABSENT,
    });
  }
}
