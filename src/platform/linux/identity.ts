import { machine } from "node:os";
import type { DeviceIdentity } from "../device-probe.ts";
import type { KernelFiles } from "./kernel-files.ts";

/** What the device says it is: device tree first (devicetree.org, root node), else DMI. Never rejects. */
export async function readIdentity(files: KernelFiles): Promise<DeviceIdentity> {
  const first = async (...paths: readonly string[]): Promise<string | undefined> => {
    for (const path of paths) {
      // Device tree strings end in NUL.
      const text = (await files.text(path))?.replace(/[\0\s]+$/, "");
      if (text !== undefined && text !== "") return text;
    }
    return undefined;
  };
  const property = (name: string): Promise<string | undefined> =>
    first(`/proc/device-tree/${name}`, `/sys/firmware/devicetree/base/${name}`);
  const serial =
    (await property("serial-number")) ?? (await first("/sys/class/dmi/id/product_serial"));
  const release = (await first("/etc/os-release", "/usr/lib/os-release")) ?? "";
  const architecture = await first("/proc/sys/kernel/arch");
  return {
    model:
      (await property("model")) ??
      (await first("/sys/class/dmi/id/product_name")) ??
      "unknown machine",
    compatible: ((await property("compatible")) ?? "").split("\0").filter((name) => name !== ""),
    ...(serial === undefined ? {} : { serial }),
    hostname: (await first("/proc/sys/kernel/hostname")) ?? "unknown",
    kernel: (await first("/proc/sys/kernel/osrelease")) ?? "unknown",
    // Kernels before 6.1 do not name it in a file, and another root's machine is not this one.
    architecture: architecture ?? (files.root === "/" ? machine() : "unknown"),
    operatingSystem: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? "unknown",
  };
}
