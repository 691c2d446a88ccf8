import type { DeviceIdentity, DeviceProbe, DeviceSample } from "../platform/device-probe.ts";

const ABSENT = { available: false, reason: "not simulated" } as const;

/** The body of a simulated device: whatever the script says at the moment. */
export class VirtualDevice implements DeviceProbe {
  /** Absent: mains power. */
  battery: { chargePercent: number; charging: boolean } | undefined;
  celsius = 45;
  cpuPercent = 10;
  diskFreeBytes = 8e9;
  samples = 0;

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

  configure(): void {
    // A virtual body keeps nothing in unusual places.
  }

  sample(): Promise<DeviceSample> {
    this.samples++;
    const { battery, celsius } = this;
    return Promise.resolve({
      cpu: {
        available: true,
        cores: 4,
        usedPercent: this.cpuPercent,
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
      thermal: { available: true, celsius, zones: [{ name: "cpu-thermal", celsius }] },
      battery:
        battery === undefined
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
