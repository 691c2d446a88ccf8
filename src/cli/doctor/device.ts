import { existsSync } from "node:fs";
import { join } from "node:path";
import { chooseFirmwareProfile } from "../../device/firmware-profile.ts";
import { PowerPolicyError, resolvePowerPolicy } from "../../device/power-settings.ts";
import { LinuxDeviceProbe } from "../../platform/linux/linux-device-probe.ts";
import { SystemClock } from "../../platform/node/system-clock.ts";
import { loadFirmwareProfiles } from "../firmware-profiles.ts";
import { type Check, type Finding, fail, ok, skipped, warn, wordsOf } from "./finding.ts";

const hotCelsius = 80;

function checkClock(root: string): Finding {
  const setNtp = "sudo timedatectl set-ntp true, and let the device reach a time server (UDP 123)";
  const now = new Date().toISOString();
  if (!new SystemClock().wallTrusted()) {
    const detail = `it says ${now}, which is before this program was made; readings are kept in order all the same`;
    return fail("clock", detail, setNtp);
  }
  if (existsSync(join(root, "run/systemd/timesync/synchronized")))
    return ok("clock", `${now}, synchronised`);
  return existsSync(join(root, "run/systemd/system"))
    ? warn("clock", `${now}, not known to be synchronised`, setNtp)
    : ok("clock", `${now}; nobody here says whether it is synchronised`);
}

/** Clock, profile and power policy, temperature and power supply. */
export const checkDevice: Check = async ({ root, dataDirectory, config }) => {
  const clock = checkClock(root);
  try {
    const disk = existsSync(dataDirectory) ? dataDirectory : "/";
    const probe = new LinuxDeviceProbe({ root, dataDirectory: disk });
    const identity = await probe.identify();
    const profiles = await loadFirmwareProfiles(dataDirectory);
    const wanted = config?.device.profile ?? "auto";
    const { profile } = chooseFirmwareProfile(profiles, identity, wanted);
    resolvePowerPolicy(profile.power, config?.power ?? {});
    probe.configure(profile.probe);
    const { thermal, throttling } = await probe.sample();
    const heat = !thermal.available
      ? skipped("temperature", thermal.reason)
      : thermal.celsius < hotCelsius
        ? ok("temperature", `${thermal.celsius.toFixed(1)} °C`)
        : warn(
            "temperature",
            `${thermal.celsius.toFixed(1)} °C: the processor slows down`,
            "give the device a heat sink, a fan or some shade",
          );
    const supply = !throttling.available
      ? skipped("power supply", throttling.reason)
      : throttling.underVoltageNow
        ? fail(
            "power supply",
            "the voltage is too low now",
            "use the maker's power supply and a short cable; unplug USB devices",
          )
        : throttling.underVoltageSinceBoot
          ? warn(
              "power supply",
              "the voltage was too low since the device booted",
              "use the maker's power supply and a short cable",
            )
          : ok("power supply", "no sign of under-voltage");
    return [ok("device", `${identity.model}, profile ${profile.id}`), clock, heat, supply];
  } catch (error) {
    if (error instanceof PowerPolicyError)
      return [clock, fail("power policy", error.message, "change one of the two in config.yaml")];
    const fix = "agent-mesh device --json shows what can be read; device.profile chooses a profile";
    return [clock, fail("device", wordsOf(error), fix)];
  }
};
