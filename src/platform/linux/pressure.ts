import type { Measured, PressureSample } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { FileRead, KernelFiles } from "./kernel-files.ts";

/** Pressure stall information (kernel `Documentation/accounting/psi`). */
export async function samplePressure(files: KernelFiles): Promise<Measured<PressureSample>> {
  const cpu = await files.read("/proc/pressure/cpu");
  if (cpu.text === undefined) return absent(whyNone(cpu));
  const memory = (await files.text("/proc/pressure/memory")) ?? "";
  const io = (await files.text("/proc/pressure/io")) ?? "";
  const cpuSomeAvg10Percent = average(cpu.text, "some");
  const memorySomeAvg10Percent = average(memory, "some");
  const memoryFullAvg10Percent = average(memory, "full");
  const ioSomeAvg10Percent = average(io, "some");
  const ioFullAvg10Percent = average(io, "full");
  if (
    cpuSomeAvg10Percent === undefined ||
    memorySomeAvg10Percent === undefined ||
    memoryFullAvg10Percent === undefined ||
    ioSomeAvg10Percent === undefined ||
    ioFullAvg10Percent === undefined
  ) {
    return absent("/proc/pressure has no avg10 figures");
  }
  return {
    available: true,
    cpuSomeAvg10Percent,
    memorySomeAvg10Percent,
    memoryFullAvg10Percent,
    ioSomeAvg10Percent,
    ioFullAvg10Percent,
  };
}

function whyNone(read: FileRead): string {
  if (read.code === "ENOENT" || read.code === "EOPNOTSUPP") {
    return "the kernel does not measure pressure; add psi=1 to its command line to turn it on";
  }
  return `/proc/pressure/cpu can not be read (${read.code})`;
}

function average(text: string, line: "some" | "full"): number | undefined {
  const figure = new RegExp(`^${line} avg10=(\\d{1,3}\\.\\d\\d) `, "m").exec(text)?.[1];
  return figure === undefined ? undefined : Number(figure);
}
