import type { KernelFiles } from "./kernel-files.ts";

const base = "/sys/class/hwmon";

/**
 * Finds hardware monitors by driver name (kernel `Documentation/hwmon/sysfs-interface`). Numbers change from
 * boot to boot, names do not; they are read again only when the list of monitors changes.
 */
export class Hwmon {
  readonly #files: KernelFiles;
  #listed = "";
  #names: Promise<ReadonlyMap<string, string>> = Promise.resolve(new Map());

  constructor(files: KernelFiles) {
    this.#files = files;
  }

  /** @returns directories of the monitors whose driver is called `name`, for example `rpi_volt`. */
  async find(name: string): Promise<readonly string[]> {
    const directories = this.#files.list(base);
    const listed = directories.join();
    if (listed !== this.#listed) {
      this.#listed = listed;
      this.#names = this.#readNames(directories);
    }
    const names = await this.#names;
    return [...names].filter(([, driver]) => driver === name).map(([directory]) => directory);
  }

  async #readNames(directories: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const names = new Map<string, string>();
    for (const directory of directories) {
      const name = await this.#files.text(`${base}/${directory}/name`);
      if (name !== undefined) names.set(`${base}/${directory}`, name);
    }
    return names;
  }
}
