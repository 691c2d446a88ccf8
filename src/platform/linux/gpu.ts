import type { GpuSample, Measured } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { KernelFiles } from "./kernel-files.ts";

/** GPU load as NVIDIA's Tegra driver tells it beside its devfreq node, in tenths of a percent. */
export async function sampleGpu(files: KernelFiles): Promise<Measured<GpuSample>> {
  const base = "/sys/class/devfreq";
  for (const device of files.list(base)) {
    const load = await files.number(`${base}/${device}/device/load`);
    if (load !== undefined && load >= 0 && load <= 1_000) {
      return { available: true, usedPercent: load / 10 };
    }
  }
  return absent("no GPU tells its load (/sys/class/devfreq/*/device/load)");
}
