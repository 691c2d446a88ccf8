import type { Measured, MemorySample } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { KernelFiles } from "./kernel-files.ts";

/** Memory from `/proc/meminfo` (proc(5)), whose `kB` are units of 1,024 bytes. */
export async function sampleMemory(files: KernelFiles): Promise<Measured<MemorySample>> {
  const text = await files.text("/proc/meminfo");
  if (text === undefined) return absent("/proc/meminfo can not be read");
  const bytes = (name: string): number | undefined => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d{1,15}) kB$`, "m").exec(text)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
  };
  const totalBytes = bytes("MemTotal");
  const availableBytes = bytes("MemAvailable");
  if (totalBytes === undefined || totalBytes === 0 || availableBytes === undefined) {
    return absent("/proc/meminfo has no MemTotal or MemAvailable");
  }
  return {
    available: true,
    totalBytes,
    availableBytes,
    swapTotalBytes: bytes("SwapTotal") ?? 0,
    swapFreeBytes: bytes("SwapFree") ?? 0,
  };
}

/** Time since boot from `/proc/uptime`; it goes on counting through suspend. */
export async function sampleUptime(
  files: KernelFiles,
): Promise<Measured<{ readonly value: number }>> {
  const seconds = /^(\d{1,12}\.\d\d) /.exec((await files.text("/proc/uptime")) ?? "")?.[1];
  if (seconds === undefined) return absent("/proc/uptime can not be read");
  return { available: true, value: Math.round(Number(seconds) * 1_000) };
}
