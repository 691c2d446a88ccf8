import type { CpuSample, Measured } from "../device-probe.ts";
import { absent } from "./absent.ts";
import { type KernelFiles, parseNumber, rounded } from "./kernel-files.ts";

interface Jiffies {
  readonly busy: number;
  readonly total: number;
}

/**
 * Processor use from `/proc/stat` (proc(5)). Shares are taken of the jiffies that the kernel itself counted
 * between two samples, so no clock is involved and a jump of the wall clock changes nothing.
 */
export class CpuProbe {
  readonly #files: KernelFiles;
  #previous: ReadonlyMap<string, Jiffies> | undefined;

  constructor(files: KernelFiles) {
    this.#files = files;
  }

  /** @returns use since the previous call; the first call has no use to tell. */
  async sample(): Promise<Measured<CpuSample>> {
    const current = parseStat((await this.#files.text("/proc/stat")) ?? "");
    const names = [...current.keys()].filter((name) => name !== "cpu");
    if (!current.has("cpu") || names.length === 0) {
      return absent("/proc/stat can not be read or has no cpu lines");
    }
    const load = ((await this.#files.text("/proc/loadavg")) ?? "").split(" ").map(parseNumber);
    const [load1, load5, load15] = load;
    if (load1 === undefined || load5 === undefined || load15 === undefined) {
      return absent("/proc/loadavg can not be read");
    }
    const previous = this.#previous;
    this.#previous = current;
    const used = previous && usedPercent(previous.get("cpu"), current.get("cpu"));
    const perCore = previous
      ? names.map((name) => usedPercent(previous.get(name), current.get(name)) ?? 0)
      : [];
    return {
      available: true,
      cores: names.length,
      load1,
      load5,
      load15,
      ...(used === undefined ? {} : { usedPercent: used, perCorePercent: perCore }),
      ...(await this.#frequency()),
    };
  }

  /** The fastest cluster speaks for the device: Jetson boards have several cpufreq policies. */
  async #frequency(): Promise<{ frequencyHz?: number; frequencyMaxHz?: number }> {
    const base = "/sys/devices/system/cpu/cpufreq";
    let fastest: { frequencyHz?: number; frequencyMaxHz?: number } = {};
    for (const policy of this.#files.list(base).filter((name) => /^policy\d+$/.test(name))) {
      const now = await this.#files.number(`${base}/${policy}/scaling_cur_freq`);
      const max = await this.#files.number(`${base}/${policy}/cpuinfo_max_freq`);
      if (now === undefined || now * 1_000 <= (fastest.frequencyHz ?? 0)) continue;
      fastest = {
        frequencyHz: now * 1_000,
        ...(max === undefined ? {} : { frequencyMaxHz: max * 1_000 }),
      };
    }
    return fastest;
  }
}

function parseStat(text: string): Map<string, Jiffies> {
  const byName = new Map<string, Jiffies>();
  for (const line of text.split("\n")) {
    if (!line.startsWith("cpu")) break;
    const [name = "", ...columns] = line.split(/\s+/);
    // user nice system idle iowait irq softirq steal; guest time is already part of user and nice.
    const jiffies = columns.slice(0, 8).map((column) => parseNumber(column) ?? Number.NaN);
    const total = jiffies.reduce((sum, value) => sum + value, 0);
    const idle = (jiffies[3] ?? Number.NaN) + (jiffies[4] ?? 0);
    if (Number.isFinite(total - idle)) byName.set(name, { busy: total - idle, total });
  }
  return byName;
}

function usedPercent(before: Jiffies | undefined, now: Jiffies | undefined): number | undefined {
  if (before === undefined || now === undefined || now.total <= before.total) return undefined;
  const share = (now.busy - before.busy) / (now.total - before.total);
  // The kernel's iowait may go back a little, which would show as a share outside 0–1.
  return rounded(Math.min(1, Math.max(0, share)) * 100, 2);
}
