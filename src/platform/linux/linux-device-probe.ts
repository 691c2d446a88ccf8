import type {
  DeviceIdentity,
  DeviceProbe,
  DeviceSample,
  Measured,
  ProbeHints,
  ProcessSample,
} from "../device-probe.ts";
import { absent } from "./absent.ts";
import { BatteryProbe } from "./battery.ts";
import { CpuProbe } from "./cpu.ts";
import { DiskProbe } from "./disk.ts";
import { sampleFlashWear } from "./flash-wear.ts";
import { sampleGpu } from "./gpu.ts";
import { Hwmon } from "./hwmon.ts";
import { readIdentity } from "./identity.ts";
import { KernelFiles } from "./kernel-files.ts";
import { sampleMemory, sampleUptime } from "./memory.ts";
import { sampleNetwork } from "./network.ts";
import { samplePowerRails } from "./power-rails.ts";
import { samplePressure } from "./pressure.ts";
import { sampleThermal } from "./thermal.ts";
import { ThrottlingProbe } from "./throttling.ts";

/** Until a profile says otherwise, look everywhere. */
const everywhere: ProbeHints = {
  thermalZonesExcluded: [],
  throttling: ["vcgencmd-file", "rpi-volt", "soctherm", "cpufreq"],
  battery: ["power-supply", "ina219"],
  totalRails: [],
};

const answerTimeoutMsDefault = 2_000;

/**
 * The body of a Linux device, from files under `root` alone; besides them only the free space of
 * `dataDirectory` and the use of this process are asked for. Starts no program and opens no network socket.
 */
export class LinuxDeviceProbe implements DeviceProbe {
  readonly #files: KernelFiles;
  readonly #cpu: CpuProbe;
  readonly #throttling: ThrottlingProbe;
  readonly #battery: BatteryProbe;
  readonly #disk: DiskProbe;
  readonly #hwmon: Hwmon;
  readonly #answerTimeoutMs: number;
  readonly #waiting = new Set<string>();
  #hints = everywhere;

  /**
   * @param options.root directory with `proc`, `sys` and `etc` in it; `/` unless given
   * @param options.dataDirectory directory whose file system matters
   * @param options.answerTimeoutMs a part of the body that stays silent this long is reported as absent
   */
  constructor(options: { root?: string; dataDirectory: string; answerTimeoutMs?: number }) {
    this.#files = new KernelFiles(options.root ?? "/");
    this.#hwmon = new Hwmon(this.#files);
    this.#cpu = new CpuProbe(this.#files);
    this.#throttling = new ThrottlingProbe(this.#files, this.#hwmon);
    this.#battery = new BatteryProbe(this.#files, this.#hwmon);
    this.#disk = new DiskProbe(this.#files, options.dataDirectory);
    this.#answerTimeoutMs = options.answerTimeoutMs ?? answerTimeoutMsDefault;
  }

  async identify(): Promise<DeviceIdentity> {
    return await readIdentity(this.#files);
  }

  configure(hints: ProbeHints): void {
    this.#hints = hints;
  }

  async sample(): Promise<DeviceSample> {
    const files = this.#files;
    const hints = this.#hints;
    const [cpu, memory, pressure, thermal, throttling, battery] = await Promise.all([
      this.#ask("cpu", () => this.#cpu.sample()),
      this.#ask("memory", () => sampleMemory(files)),
      this.#ask("pressure", () => samplePressure(files)),
      this.#ask("thermal", () => sampleThermal(files, hints.thermalZonesExcluded)),
      this.#ask("throttling", () => this.#throttling.sample(hints.throttling)),
      this.#ask("battery", () => this.#battery.sample(hints)),
    ]);
    const [powerRails, disk, flashWear, network, gpu, uptimeMs] = await Promise.all([
      this.#ask("powerRails", () => samplePowerRails(files, this.#hwmon, hints.totalRails)),
      this.#ask("disk", () => this.#disk.sample()),
      this.#ask("flashWear", () => sampleFlashWear(files)),
      this.#ask("network", () => sampleNetwork(files)),
      this.#ask("gpu", () => sampleGpu(files)),
      this.#ask("uptime", () => sampleUptime(files)),
    ]);
    return {
      cpu,
      memory,
      pressure,
      thermal,
      throttling,
      battery,
      powerRails,
      disk,
      flashWear,
      network,
      gpu,
      process: { available: true, ...ownUse() },
      uptimeMs,
    };
  }

  /**
   * A gauge on a hung bus holds one of the few threads that the store needs too: it is asked no second time
   * before it has answered the first, and a fault in one part never costs the others.
   */
  async #ask<T extends object>(
    part: string,
    take: () => Promise<Measured<T>>,
  ): Promise<Measured<T>> {
    if (this.#waiting.has(part))
      return absent("the kernel has not answered since an earlier sample");
    this.#waiting.add(part);
    const answer = take()
      .catch((error: unknown) => absent(`reading failed: ${String(error)}`))
      .finally(() => this.#waiting.delete(part));
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<Measured<T>>((resolve) => {
      timer = setTimeout(
        () => resolve(absent(`the kernel gave no answer within ${this.#answerTimeoutMs} ms`)),
        this.#answerTimeoutMs,
      );
    });
    try {
      return await Promise.race([answer, silence]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function ownUse(): ProcessSample {
  const { user, system } = process.cpuUsage();
  return { residentBytes: process.memoryUsage.rss(), cpuMs: Math.round((user + system) / 1_000) };
}
