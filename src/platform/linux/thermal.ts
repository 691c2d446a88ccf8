import type { Measured, ThermalSample, ThermalZoneSample } from "../device-probe.ts";
import { absent } from "./absent.ts";
import { type KernelFiles, rounded } from "./kernel-files.ts";

const base = "/sys/class/thermal";
/** Jetson's zones of parts that sleep report −256 °C, and a broken sensor its rail. */
const plausible = { celsiusMin: -60, celsiusMax: 200 };

/**
 * Thermal zones (kernel `Documentation/driver-api/thermal/sysfs-api`), in thousandths of a degree. A zone
 * whose part is powered down answers EAGAIN and is left out of this sample.
 *
 * @param excluded name patterns of zones that are not the device's temperature; `*` stands for anything
 */
export async function sampleThermal(
  files: KernelFiles,
  excluded: readonly string[],
): Promise<Measured<ThermalSample>> {
  const zones: ThermalZoneSample[] = [];
  const directories = files.list(base).filter((name) => /^thermal_zone\d+$/.test(name));
  for (const directory of directories) {
    const name = (await files.text(`${base}/${directory}/type`)) ?? directory;
    const millidegrees = await files.number(`${base}/${directory}/temp`);
    if (millidegrees === undefined) continue;
    const celsius = rounded(millidegrees / 1_000, 3);
    if (celsius < plausible.celsiusMin || celsius > plausible.celsiusMax) continue;
    zones.push({ name, celsius });
  }
  const counted = zones.filter((zone) => !excluded.some((pattern) => matches(pattern, zone.name)));
  if (counted.length === 0) {
    return absent(
      directories.length === 0
        ? "the kernel has no thermal zones (/sys/class/thermal)"
        : `none of the ${directories.length} thermal zones can be read now`,
    );
  }
  return { available: true, celsius: Math.max(...counted.map((zone) => zone.celsius)), zones };
}

function matches(pattern: string, name: string): boolean {
  const escaped = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`, "i").test(name);
}
