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

/** Memory and swap, in bytes. */
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

/** One thermal zone under the name its driver gives it. */
export interface ThermalZoneSample {
  readonly name: string;
  readonly celsius: number;
}

/** The device's temperature and where it comes from. */
export interface ThermalSample {
  /** The hottest zone that the profile does not exclude. */
  readonly celsius: number;
  readonly zones: readonly ThermalZoneSample[];
}

/** Supply and clock trouble. A field is absent where no source can tell: unknown is not "fine". */
export interface ThrottlingSample {
  /** Who told it, best first. */
  readonly sources: readonly ThrottlingSource[];
  readonly underVoltageNow?: boolean;
  readonly throttledNow?: boolean;
  readonly frequencyCappedNow?: boolean;
  /** Since boot where the firmware remembers it, else since this probe was made. */
  readonly underVoltageSinceBoot?: boolean;
  readonly throttledSinceBoot?: boolean;
}

/** The battery that feeds the device. */
export interface BatterySample {
  readonly name: string;
  /** State of charge, 0–100; absent where the gauge only knows voltage and no voltage range is known. */
  readonly chargePercent?: number;
  /** True where the charge is a straight line between empty and full voltage, not a gauge's figure. */
  readonly chargeEstimated?: boolean;
  readonly state: "charging" | "discharging" | "full" | "unknown";
  readonly volts?: number;
  /** Positive while discharging. */
  readonly amperes?: number;
  readonly watts?: number;
}

/** One measured supply rail. */
export interface PowerRailSample {
  readonly name: string;
  readonly volts: number;
  readonly amperes: number;
  readonly watts: number;
}

/** The file system that holds the agent's data. */
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

/** One network interface; counters count since it came up. */
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

/** Use of the GPU, 0–100. */
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

/**
 * Ways to hear of under-voltage and throttling: the Raspberry Pi firmware's own bits (`vcgencmd-file`),
 * the kernel's `raspberrypi-hwmon` alarm (`rpi-volt`), a CPU cooling device or lowered frequency limit
 * (`cpufreq`), the over-current events of NVIDIA's thermal controller (`soctherm`).
 */
export type ThrottlingSource = "vcgencmd-file" | "rpi-volt" | "cpufreq" | "soctherm";

/** Where a battery shows up: the kernel's power supply class, or an INA219 beside the cells. */
export type BatterySource = "power-supply" | "ina219";

/** Hints from the firmware profile: where this device keeps what the standard places lack. */
export interface ProbeHints {
  /** Names of thermal zones that are not the device's temperature; `*` stands for anything. */
  readonly thermalZonesExcluded: readonly string[];
  /** How under-voltage and throttling are told, best first. */
  readonly throttling: readonly ThrottlingSource[];
  /** Where the battery is, best first. */
  readonly battery: readonly BatterySource[];
  /** Voltage range of the battery pack, for gauges that know voltage only: [empty, full]. */
  readonly batteryVoltsRange?: readonly [empty: number, full: number];
  /** Which way current flows through an INA219 when it reads above zero; `charging` unless said. */
  readonly batteryPositiveCurrent?: "charging" | "discharging";
  /** The gauge counts twice (MAX17043/44 without `maxim,double-soc` in the device tree). */
  readonly batteryGaugeDoubled?: boolean;
  /** Power rails that are the sum of the others. */
  readonly totalRails: readonly string[];
}

/** Reads the device's body, under a root directory that tests can put anywhere. */
export interface DeviceProbe {
  /** @returns what the device says it is, with `unknown` where it says nothing. Never rejects. */
  identify(): Promise<DeviceIdentity>;
  /** From now on read as the profile says. */
  configure(hints: ProbeHints): void;
  /** @returns what could be read now; never rejects for something the device lacks. */
  sample(): Promise<DeviceSample>;
}
