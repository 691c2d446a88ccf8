import type { Measured, ThrottlingSample, ThrottlingSource } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { Hwmon } from "./hwmon.ts";
import type { KernelFiles } from "./kernel-files.ts";

type Report = Omit<ThrottlingSample, "sources">;

/** Bits of the firmware's GET_THROTTLED answer; the same 16 places higher: since boot. */
const bits = { underVoltage: 1 << 0, frequencyCapped: 1 << 1, throttled: 1 << 2 };
const sinceBoot = 16;

/**
 * Under-voltage and throttling, as the profile's sources tell it. Drivers clear what they
 * remember once it was read, so everything seen is latched here for as long as the agent runs.
 */
export class ThrottlingProbe {
  readonly #files: KernelFiles;
  readonly #hwmon: Hwmon;
  readonly #events = new Map<string, number>();
  readonly #ask: Readonly<Record<ThrottlingSource, () => Promise<Report | undefined>>> = {
    "vcgencmd-file": () => this.#firmware(),
    "rpi-volt": () => this.#rpiVolt(),
    cpufreq: () => this.#cpufreq(),
    soctherm: () => this.#soctherm(),
  };
  #underVoltageSeen = false;
  #throttledSeen = false;

  constructor(files: KernelFiles, hwmon: Hwmon) {
    this.#files = files;
    this.#hwmon = hwmon;
  }

  /**
   * Asks the sources in turn.
   *
   * @param sources best first; a later one only adds what the earlier ones can not tell
   */
  async sample(sources: readonly ThrottlingSource[]): Promise<Measured<ThrottlingSample>> {
    const answered: ThrottlingSource[] = [];
    let report: Report = {};
    for (const source of sources) {
      if (isComplete(report)) break;
      const answer = await this.#ask[source]();
      if (answer === undefined) continue;
      answered.push(source);
      report = { ...answer, ...report };
    }
    if (answered.length > 0) {
      return { available: true, sources: answered, ...this.#latch(report) };
    }
    return absent(
      sources.length === 0
        ? "the firmware profile names no way to tell throttling"
        : `unknown, not fine: no answer from ${sources.join(", ")}`,
    );
  }

  #latch(report: Report): Report {
    this.#underVoltageSeen ||=
      (report.underVoltageNow ?? false) || (report.underVoltageSinceBoot ?? false);
    this.#throttledSeen ||= (report.throttledNow ?? false) || (report.throttledSinceBoot ?? false);
    return {
      ...report,
      ...(report.underVoltageNow === undefined
        ? {}
        : { underVoltageSinceBoot: this.#underVoltageSeen }),
      ...(report.throttledNow === undefined ? {} : { throttledSinceBoot: this.#throttledSeen }),
    };
  }

  /** Raspberry Pi OS's `get_throttled`, hexadecimal without 0x. Its parent moved on the Pi 5. */
  async #firmware(): Promise<Report | undefined> {
    const platform = "/sys/devices/platform";
    for (const bus of this.#files.list(platform).filter((name) => /^(soc|axi)/.test(name))) {
      const nodes = this.#files.list(`${platform}/${bus}`);
      for (const node of nodes.filter((name) => name.endsWith(":firmware"))) {
        const text = await this.#files.text(`${platform}/${bus}/${node}/get_throttled`);
        if (text === undefined || !/^[0-9a-f]{1,8}$/i.test(text)) continue;
        const word = Number.parseInt(text, 16);
        const now = (bit: number): boolean => (word & bit) !== 0;
        return {
          underVoltageNow: now(bits.underVoltage),
          frequencyCappedNow: now(bits.frequencyCapped),
          throttledNow: now(bits.throttled),
          underVoltageSinceBoot: now(bits.underVoltage << sinceBoot),
          throttledSinceBoot: now(bits.throttled << sinceBoot),
        };
      }
    }
    return undefined;
  }

  /** Kernel `Documentation/hwmon/raspberrypi-hwmon`: knows under-voltage and nothing else. */
  async #rpiVolt(): Promise<Report | undefined> {
    for (const directory of await this.#hwmon.find("rpi_volt")) {
      const alarm = await this.#files.number(`${directory}/in0_lcrit_alarm`);
      if (alarm !== undefined) return { underVoltageNow: alarm !== 0 };
    }
    return undefined;
  }

  /** The thermal governor slows the processor (cooling devices), or something lowered its limit. */
  async #cpufreq(): Promise<Report | undefined> {
    const policies = "/sys/devices/system/cpu/cpufreq";
    let capped: boolean | undefined;
    for (const policy of this.#files.list(policies).filter((name) => /^policy\d+$/.test(name))) {
      const limit = await this.#files.number(`${policies}/${policy}/scaling_max_freq`);
      const most = await this.#files.number(`${policies}/${policy}/cpuinfo_max_freq`);
      if (limit !== undefined && most !== undefined) capped = (capped ?? false) || limit < most;
    }
    const cooling = "/sys/class/thermal";
    let throttled: boolean | undefined;
    const devices = this.#files.list(cooling).filter((name) => /^cooling_device\d+$/.test(name));
    for (const device of devices) {
      const type = (await this.#files.text(`${cooling}/${device}/type`)) ?? "";
      if (!/^(thermal-)?cpufreq-/.test(type)) continue;
      const state = await this.#files.number(`${cooling}/${device}/cur_state`);
      if (state !== undefined) throttled = (throttled ?? false) || state > 0;
    }
    if (capped === undefined && throttled === undefined) return undefined;
    return {
      ...(capped === undefined ? {} : { frequencyCappedNow: capped }),
      ...(throttled === undefined ? {} : { throttledNow: throttled }),
    };
  }

  /** NVIDIA's over-current event counters (Jetson Linux developer guide): a rise is throttling now. */
  async #soctherm(): Promise<Report | undefined> {
    let throttled: boolean | undefined;
    let ever = false;
    for (const directory of await this.#hwmon.find("soctherm_oc")) {
      const counters = this.#files.list(directory).filter((name) => /^oc\d_event_cnt$/.test(name));
      for (const counter of counters) {
        const path = `${directory}/${counter}`;
        const events = await this.#files.number(path);
        if (events === undefined) continue;
        throttled = (throttled ?? false) || events > (this.#events.get(path) ?? events);
        ever ||= events > 0;
        this.#events.set(path, events);
      }
    }
    return throttled === undefined
      ? undefined
      : { throttledNow: throttled, throttledSinceBoot: ever };
  }
}

function isComplete(report: Report): boolean {
  return (
    report.underVoltageNow !== undefined &&
    report.throttledNow !== undefined &&
    report.frequencyCappedNow !== undefined
  );
}
