import type { Measured, PowerRailSample } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { Hwmon } from "./hwmon.ts";
import { type KernelFiles, rounded } from "./kernel-files.ts";

/**
 * Power rails that an INA3221 measures: through hwmon (kernel `Documentation/hwmon/ina3221`) or, up to
 * JetPack 4, through NVIDIA's iio driver. Millivolts and milliamperes both; channels called `NC` are not
 * connected.
 *
 * @param totalRails rails that are the sum of others; they come first
 */
export async function samplePowerRails(
  files: KernelFiles,
  hwmon: Hwmon,
  totalRails: readonly string[],
): Promise<Measured<{ readonly rails: readonly PowerRailSample[] }>> {
  const rails = [...(await hwmonRails(files, hwmon)), ...(await iioRails(files))];
  if (rails.length === 0) return absent("no INA3221 power monitor (hwmon or iio)");
  const isTotal = (rail: PowerRailSample): number => (totalRails.includes(rail.name) ? 0 : 1);
  return { available: true, rails: rails.sort((a, b) => isTotal(a) - isTotal(b)) };
}

async function hwmonRails(files: KernelFiles, hwmon: Hwmon): Promise<PowerRailSample[]> {
  const rails: PowerRailSample[] = [];
  for (const directory of await hwmon.find("ina3221")) {
    for (const channel of [1, 2, 3]) {
      const name = await files.text(`${directory}/in${channel}_label`);
      if (name === undefined || name === "NC") continue;
      const rail = railOf(
        name,
        await files.number(`${directory}/in${channel}_input`),
        await files.number(`${directory}/curr${channel}_input`),
      );
      if (rail !== undefined) rails.push(rail);
    }
  }
  return rails;
}

async function iioRails(files: KernelFiles): Promise<PowerRailSample[]> {
  const base = "/sys/bus/iio/devices";
  const rails: PowerRailSample[] = [];
  for (const device of files.list(base).filter((name) => name.startsWith("iio:device"))) {
    for (const channel of [0, 1, 2]) {
      const name = await files.text(`${base}/${device}/rail_name_${channel}`);
      if (name === undefined || name === "NC") continue;
      const rail = railOf(
        name,
        await files.number(`${base}/${device}/in_voltage${channel}_input`),
        await files.number(`${base}/${device}/in_current${channel}_input`),
      );
      if (rail !== undefined) rails.push(rail);
    }
  }
  return rails;
}

function railOf(
  name: string,
  millivolts: number | undefined,
  milliamperes: number | undefined,
): PowerRailSample | undefined {
  if (millivolts === undefined || milliamperes === undefined) return undefined;
  const volts = millivolts / 1_000;
  const amperes = milliamperes / 1_000;
  return { name, volts, amperes, watts: rounded(volts * amperes, 3) };
}
