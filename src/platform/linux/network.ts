import type { Measured, NetworkInterfaceSample } from "../device-probe.ts";
import { absent } from "./absent.ts";
import { type KernelFiles, parseNumber } from "./kernel-files.ts";

const base = "/sys/class/net";
/** A container host can have hundreds; the first ones by name length are the real ones. */
const interfacesMax = 32;

/**
 * Network interfaces but the loopback: counters from `/proc/net/dev`, state from sysfs (kernel
 * `Documentation/ABI/testing/sysfs-class-net`), signal from `/proc/net/wireless`.
 */
export async function sampleNetwork(
  files: KernelFiles,
): Promise<Measured<{ readonly interfaces: readonly NetworkInterfaceSample[] }>> {
  const counters = (await files.readTable("/proc/net/dev")).text;
  if (counters === undefined) return absent("/proc/net/dev can not be read");
  const signals = await wirelessSignals(files);
  const interfaces: NetworkInterfaceSample[] = [];
  for (const line of counters.split("\n")) {
    const [, name, rest = ""] = /^\s*([^\s:]{1,15}):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === "lo" || interfaces.length === interfacesMax) continue;
    const columns = rest.split(/\s+/).map(parseNumber);
    const receivedBytes = columns[0];
    const sentBytes = columns[8];
    if (receivedBytes === undefined || sentBytes === undefined) continue;
    const wireless = signals.has(name) || files.list(`${base}/${name}/phy80211`).length > 0;
    const up = (await files.text(`${base}/${name}/operstate`)) === "up";
    // The speed of a link that is down reads as EINVAL, that of a virtual one as -1.
    const speed = up && !wireless ? await files.number(`${base}/${name}/speed`) : undefined;
    const signalDbm = signals.get(name);
    interfaces.push({
      name,
      up,
      wireless,
      receivedBytes,
      sentBytes,
      ...(speed === undefined || speed <= 0 ? {} : { speedMbps: speed }),
      ...(signalDbm === undefined || !up ? {} : { signalDbm }),
    });
  }
  if (interfaces.length === 0)
    return absent("the kernel has no network interface but the loopback");
  return { available: true, interfaces };
}

async function wirelessSignals(files: KernelFiles): Promise<ReadonlyMap<string, number>> {
  const signals = new Map<string, number>();
  for (const line of ((await files.text("/proc/net/wireless")) ?? "").split("\n")) {
    const [, name, level] = /^\s*(\S+):\s+\S+\s+\S+\s+(-?\d+)\.?\s/.exec(line) ?? [];
    if (name !== undefined && level !== undefined) signals.set(name, Number(level));
  }
  return signals;
}
