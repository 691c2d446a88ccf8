/** A value that was read, or the reason why there is none. Never a false zero. */
export type Measured<T> =
  | ({ readonly available: true } & T)
  | { readonly available: false; readonly reason: string };

/** What the device says it is; all strings as the kernel gives them. */
export interface DeviceIdentity {
  /** Device tree or DMI model, for example `Raspberry Pi 4 Model B Rev 1.4`. */
  readonly model: string;
  /** Device tree `compatible` list, most specific first; empty where there is no device tree. */
  readonly compatible: readonly string[];
  readonly serial?: string;
  readonly hostname: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly operatingSystem: string;
}

/** Processor use over the time since the previous sample. */
export interface CpuSample {
  readonly cores: number;
  /** Percent of all cores together, 0–100. Absent in the first sample. */
  readonly usedPercent?: number;
  readonly perCorePercent?: readonly number[];
  readonly load1: number;
  readonly load5: number;
  readonly load15: number;
  /** Current and maximum frequency, where cpufreq tells. */
  readonly frequencyHz?: number;
  readonly frequencyMaxHz?: number;
}

export interface MemorySample {
  readonly totalBytes: number;
  /** The kernel's own estimate of what a new program could have (MemAvailable). */
  readonly availableBytes: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

/** Pressure stall information (kernel `Documentation/accounting/psi`): percent of time stalled. */
export interface PressureSample {
  readonly cpuSomeAvg10Percent: number;
  readonly memorySomeAvg10Percent: number;
  readonly memoryFullAvg10Percent: number;
  readonly ioSomeAvg10Percent: number;
  readonly ioFullAvg10Percent: number;
}

export interface ThermalZoneSample {
  readonly name: string;
  readonly celsius: number;
}

export interface ThermalSample {
  /** The hottest zone that the profile does not exclude. */
  readonly celsius: number;
  readonly zones: readonly ThermalZoneSample[];
}

export interface ThrottlingSample {
  readonly underVoltageNow: boolean;
  readonly throttledNow: boolean;
  readonly frequencyCappedNow: boolean;
  /** Latched by us, or by the firmware since boot. */
  readonly underVoltageSinceBoot: boolean;
  readonly throttledSinceBoot: boolean;
}

export interface BatterySample {
  readonly name: string;
  /** State of charge, 0–100; absent where the gauge only knows voltage. */
  readonly chargePercent?: number;
  readonly state: "charging" | "discharging" | "full" | "unknown";
  readonly volts?: number;
  /** Positive while discharging. */
  readonly amperes?: number;
  readonly watts?: number;
}

export interface PowerRailSample {
  readonly name: string;
  readonly volts: number;
  readonly amperes: number;
  readonly watts: number;
}

export interface DiskSample {
  readonly path: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly inodesFree: number;
  readonly readOnly: boolean;
  /** Bytes written to the block device since boot, where it can be told. */
  readonly writtenBytes?: number;
}

/** eMMC life time estimate (JESD84-B51, DEVICE_LIFE_TIME_EST) or SD equivalent. */
export interface FlashWearSample {
  readonly device: string;
  /** Upper bound of the used share of its life, 10–110 in steps of 10. */
  readonly lifeUsedPercent: number;
  readonly preEol: "normal" | "warning" | "urgent" | "unknown";
}

export interface NetworkInterfaceSample {
  readonly name: string;
  readonly up: boolean;
  readonly wireless: boolean;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly speedMbps?: number;
  /** Wi-Fi signal level in dBm. */
  readonly signalDbm?: number;
}

export interface GpuSample {
  readonly usedPercent: number;
}

/** The agent's own use, against its budget. */
export interface ProcessSample {
  readonly residentBytes: number;
  /** CPU time used since start, user and system together. */
  readonly cpuMs: number;
}

/** One look at the whole body. */
export interface DeviceSample {
  readonly cpu: Measured<CpuSample>;
  readonly memory: Measured<MemorySample>;
  readonly pressure: Measured<PressureSample>;
  readonly thermal: Measured<ThermalSample>;
  readonly throttling: Measured<ThrottlingSample>;
  readonly battery: Measured<BatterySample>;
  readonly powerRails: Measured<{ readonly rails: readonly PowerRailSample[] }>;
  readonly disk: Measured<DiskSample>;
  readonly flashWear: Measured<FlashWearSample>;
  readonly network: Measured<{ readonly interfaces: readonly NetworkInterfaceSample[] }>;
  readonly gpu: Measured<GpuSample>;
  readonly process: Measured<ProcessSample>;
  readonly uptimeMs: Measured<{ readonly value: number }>;
}

/** Hints from the firmware profile: where this device keeps what the standard places lack. */
export interface ProbeHints {
  /** Thermal zones whose name matches are not the device's temperature. */
  readonly thermalZonesExcluded: readonly string[];
  /** How under-voltage and throttling are told, best first. */
  readonly throttling: readonly ("vcgencmd-file" | "rpi-volt" | "cpufreq" | "soctherm")[];
  /** Where the battery is, best first. */
  readonly battery: readonly ("power-supply" | "ina219" | "pisugar")[];
  /** Voltage range of one battery pack, for gauges that know voltage only: [empty, full]. */
  readonly batteryVoltsRange?: readonly [empty: number, full: number];
  /** Power rails that are the sum of the others. */
  readonly totalRails: readonly string[];
}

/** Reads the device's body, under a root directory that tests can put anywhere. */
export interface DeviceProbe {
  identify(): Promise<DeviceIdentity>;
  /** From now on read as the profile says. */
  configure(hints: ProbeHints): void;
  /** @returns what could be read now; never rejects for something the device lacks. */
  sample(): Promise<DeviceSample>;
}
