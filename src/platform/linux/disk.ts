import { access, constants, realpath, statfs } from "node:fs/promises";
import type { DiskSample, Measured } from "../device-probe.ts";
import { absent } from "./absent.ts";
import { type KernelFiles, parseNumber } from "./kernel-files.ts";

/** `/proc/diskstats` counts in sectors of 512 bytes, whatever the disk's own sector is. */
const sectorBytes = 512;

/** The file system that holds the agent's data, and what was written to the disk beneath it. */
export class DiskProbe {
  readonly #files: KernelFiles;
  readonly #dataDirectory: string;
  #device: Promise<string | undefined> | undefined;

  constructor(files: KernelFiles, dataDirectory: string) {
    this.#files = files;
    this.#dataDirectory = dataDirectory;
  }

  /** @returns free space now, or why the directory can not be examined. */
  async sample(): Promise<Measured<DiskSample>> {
    const path = this.#dataDirectory;
    let figures: Awaited<ReturnType<typeof statfs>>;
    try {
      figures = await statfs(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "EIO";
      return absent(`the data directory ${path} can not be examined (${code})`);
    }
    const writtenBytes = await this.#writtenBytes();
    return {
      available: true,
      path,
      totalBytes: figures.blocks * figures.bsize,
      // What is left for us: the file system keeps some blocks back for root.
      freeBytes: figures.bavail * figures.bsize,
      inodesFree: figures.ffree,
      readOnly: await isReadOnly(path),
      ...(writtenBytes === undefined ? {} : { writtenBytes }),
    };
  }

  /** Kernel `Documentation/admin-guide/iostats`: the tenth column is sectors written since boot. */
  async #writtenBytes(): Promise<number | undefined> {
    this.#device ??= this.#findDevice();
    const device = await this.#device;
    if (device === undefined) return undefined;
    for (const line of (await this.#table("/proc/diskstats")).split("\n")) {
      const columns = line.trim().split(/\s+/);
      if (columns[2] !== device) continue;
      const sectors = parseNumber(columns[9]);
      return sectors === undefined ? undefined : sectors * sectorBytes;
    }
    return undefined;
  }

  /** The disk (not the partition) under the mount that the data directory is in: proc(5), mountinfo. */
  async #findDevice(): Promise<string | undefined> {
    let directory = this.#dataDirectory;
    try {
      directory = await realpath(directory);
    } catch {
      // A directory that can not be resolved is reported by statfs.
    }
    let longest = { mountPoint: "", number: "" };
    for (const line of (await this.#table("/proc/self/mountinfo")).split("\n")) {
      const [, , number = "", , mountPoint = ""] = line.split(" ");
      if (mountPoint.length < longest.mountPoint.length || !holds(mountPoint, directory)) continue;
      longest = { mountPoint, number };
    }
    for (const line of (await this.#table("/proc/diskstats")).split("\n")) {
      const [major, minor, name = ""] = line.trim().split(/\s+/);
      if (`${major}:${minor}` === longest.number) return wholeDisk(name);
    }
    return undefined;
  }

  async #table(path: string): Promise<string> {
    return (await this.#files.readTable(path)).text ?? "";
  }
}

function holds(mountPoint: string, directory: string): boolean {
  if (!mountPoint.startsWith("/")) return false;
  return mountPoint === "/" || `${directory}/`.startsWith(`${mountPoint}/`);
}

/** `mmcblk0p2` and `nvme0n1p1` end in p and a number after a digit; `sda2` and `vda1` in a number. */
function wholeDisk(name: string): string {
  return (
    /^((?:mmcblk|nvme\d+n|loop|zram)\d+)(?:p\d+)?$/.exec(name)?.[1] ??
    /^((?:sd|vd|xvd|hd)[a-z]+)\d*$/.exec(name)?.[1] ??
    name
  );
}

async function isReadOnly(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}
