import type { BatterySample, BatterySource, Measured, ProbeHints } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { Hwmon } from "./hwmon.ts";
import { type KernelFiles, rounded } from "./kernel-files.ts";

const supplies = "/sys/class/power_supply";
/** A gauge may read a little over 100 on a fresh battery; beyond this it counts twice. */
const chargePercentPlausibleMax = 110;
/** Less than this is the noise of an idle shunt. */
const amperesNoise = 0.01;
/** A pack this far outside its range, as a share of the range's ends, is something else. */
const voltsTolerance = 0.05;

/** The battery that feeds the device, as the profile's first source that finds one tells it. */
export class BatteryProbe {
  readonly #files: KernelFiles;
  readonly #hwmon: Hwmon;
  readonly #doubled = new Set<string>();

  constructor(files: KernelFiles, hwmon: Hwmon) {
    this.#files = files;
    this.#hwmon = hwmon;
  }

  /** @returns the battery, or where it was looked for. */
  async sample(hints: ProbeHints): Promise<Measured<BatterySample>> {
    for (const source of hints.battery) {
      const battery = await (source === "ina219" ? this.#ina219(hints) : this.#powerSupply(hints));
      if (battery !== undefined) return { available: true, ...battery };
    }
    return absent(
      hints.battery.length === 0
        ? "the firmware profile names no battery source"
        : `no battery found (looked for ${hints.battery.map((source) => lookedFor[source]).join(" and ")})`,
    );
  }

  /**
   * Kernel `Documentation/ABI/testing/sysfs-class-power`, in millionths. A supply of scope `Device` is a
   * mouse's battery, and one of another type (USB-C ports such as `ucsi-source-psy-*`, mains) is none.
   */
  async #powerSupply(hints: ProbeHints): Promise<BatterySample | undefined> {
    let found: BatterySample | undefined;
    let mainsOnline = false;
    for (const name of this.#files.list(supplies)) {
      const file = (property: string): string => `${supplies}/${name}/${property}`;
      const type = await this.#files.text(file("type"));
      if (type === "Mains") mainsOnline ||= (await this.#files.number(file("online"))) === 1;
      if (type !== "Battery" || found !== undefined) continue;
      if ((await this.#files.text(file("scope"))) === "Device") continue;
      if ((await this.#files.number(file("present"))) === 0) continue;
      found = await this.#readSupply(name, hints);
    }
    if (found?.state !== "unknown" || !mainsOnline) return found;
    return { ...found, state: (found.chargePercent ?? 0) >= 100 ? "full" : "charging" };
  }

  async #readSupply(name: string, hints: ProbeHints): Promise<BatterySample | undefined> {
    const scaled = async (property: string): Promise<number | undefined> => {
      const value = await this.#files.number(`${supplies}/${name}/${property}`);
      return value === undefined ? undefined : value / 1_000_000;
    };
    const state = supplyState(await this.#files.text(`${supplies}/${name}/status`));
    const volts = await scaled("voltage_now");
    const current = await scaled("current_now");
    const power = await scaled("power_now");
    const capacity = await this.#files.number(`${supplies}/${name}/capacity`);
    const charge =
      this.#gaugePercent(name, capacity, hints) ??
      share(await scaled("energy_now"), await scaled("energy_full")) ??
      share(await scaled("charge_now"), await scaled("charge_full"));
    if (charge === undefined && volts === undefined) return undefined;
    // Drivers disagree about the sign, so the status decides; without one, the ABI says minus is discharge.
    const amperes =
      current === undefined
        ? undefined
        : {
            discharging: Math.abs(current),
            charging: -Math.abs(current),
            full: 0,
            unknown: -current,
          }[state];
    const watts =
      amperes !== undefined && volts !== undefined
        ? amperes * volts
        : power !== undefined && state === "charging"
          ? -Math.abs(power)
          : power;
    return {
      name,
      state,
      ...(charge === undefined
        ? estimatedCharge(volts, hints)
        : { chargePercent: rounded(charge, 1) }),
      ...(volts === undefined ? {} : { volts: rounded(volts, 6) }),
      ...(amperes === undefined ? {} : { amperes: rounded(amperes, 6) }),
      ...(watts === undefined ? {} : { watts: rounded(watts, 4) }),
    };
  }

  #gaugePercent(name: string, capacity: number | undefined, hints: ProbeHints): number | undefined {
    if (capacity === undefined || capacity < 0 || capacity > 255) return undefined;
    if (hints.batteryGaugeDoubled === true || capacity > chargePercentPlausibleMax) {
      this.#doubled.add(name);
    }
    return Math.min(100, this.#doubled.has(name) ? capacity / 2 : capacity);
  }

  /** Kernel `Documentation/hwmon/ina2xx`: millivolts and milliamperes, and no idea of charge. */
  async #ina219(hints: ProbeHints): Promise<BatterySample | undefined> {
    for (const directory of await this.#hwmon.find("ina219")) {
      const millivolts = await this.#files.number(`${directory}/in1_input`);
      const milliamperes = await this.#files.number(`${directory}/curr1_input`);
      if (millivolts === undefined || milliamperes === undefined) continue;
      const volts = millivolts / 1_000;
      const positiveIsDischarge = hints.batteryPositiveCurrent === "discharging";
      const amperes = (positiveIsDischarge ? milliamperes : 0 - milliamperes) / 1_000;
      const charge = estimatedCharge(volts, hints);
      return {
        name: "ina219",
        state: shuntState(amperes, charge.chargePercent),
        ...charge,
        volts: rounded(volts, 6),
        amperes: rounded(amperes, 6),
        watts: rounded(volts * amperes, 4),
      };
    }
    return undefined;
  }
}

const lookedFor: Record<BatterySource, string> = {
  "power-supply": "a supply of type Battery in /sys/class/power_supply",
  ina219: "an ina219 in /sys/class/hwmon",
};

/** A straight line between empty and full; nothing for a voltage that this pack can not have. */
function estimatedCharge(
  volts: number | undefined,
  hints: ProbeHints,
): { chargePercent?: number; chargeEstimated?: boolean } {
  if (volts === undefined || hints.batteryVoltsRange === undefined) return {};
  const [empty, full] = hints.batteryVoltsRange;
  if (volts < empty * (1 - voltsTolerance) || volts > full * (1 + voltsTolerance)) return {};
  const portion = Math.min(1, Math.max(0, (volts - empty) / (full - empty)));
  return { chargePercent: rounded(portion * 100, 1), chargeEstimated: true };
}

function supplyState(status: string | undefined): BatterySample["state"] {
  if (status === "Charging") return "charging";
  if (status === "Discharging") return "discharging";
  return status === "Full" ? "full" : "unknown";
}

function shuntState(amperes: number, chargePercent: number | undefined): BatterySample["state"] {
  if (amperes > amperesNoise) return "discharging";
  if (amperes < -amperesNoise) return "charging";
  return chargePercent !== undefined && chargePercent >= 95 ? "full" : "unknown";
}

function share(now: number | undefined, full: number | undefined): number | undefined {
  if (now === undefined || full === undefined || full <= 0 || now < 0) return undefined;
  return Math.min(100, (now / full) * 100);
}
