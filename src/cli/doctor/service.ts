import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import {
  type Check,
  type Finding,
  fail,
  ok,
  type Patient,
  skipped,
  warn,
  wordsOf,
} from "./finding.ts";

const unit = "agent-mesh.service";
const unitDirectories = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function packagedUnit({ installation }: Patient): string | undefined {
  const bundled = dirname(installation.pageDirectory);
  return read(join(bundled, unit)) ?? read(join(bundled, "../systemd", unit));
}

async function systemctl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("systemctl", args, { timeout: 10_000 });
  return stdout.trim();
}

async function checkState(): Promise<Finding> {
  const args = ["show", "-p", "ActiveState", "-p", "Result", "-p", "WatchdogUSec", unit];
  const shown = Object.fromEntries(
    (await systemctl(...args)).split("\n").map((line) => line.split("=", 2)),
  ) as Record<string, string | undefined>;
  if (shown["ActiveState"] === "failed") {
    const fix = `'journalctl -u agent-mesh -n 50' says why; then 'sudo systemctl restart agent-mesh'`;
    return fail("service state", `the service failed (${shown["Result"]})`, fix);
  }
  if (["0", "infinity", undefined].includes(shown["WatchdogUSec"])) {
    return warn(
      "service state",
      "no watchdog: an agent that hangs is not restarted",
      `sudo systemctl revert ${unit}`,
    );
  }
  if (shown["ActiveState"] !== "active") {
    return warn(
      "service state",
      `the service is ${shown["ActiveState"]}`,
      "sudo systemctl start agent-mesh",
    );
  }
  return ok("service state", `active, watchdog ${shown["WatchdogUSec"]}`);
}

/** The systemd unit: installed, the packaged one, enabled, running, watched. */
export const checkService: Check = async (patient) => {
  const { root } = patient;
  if (!existsSync(join(root, "run/systemd/system"))) {
    return [skipped("service", "systemd does not run here")];
  }
  const file = unitDirectories.map((directory) => join(root, directory, unit)).find(existsSync);
  if (file === undefined)
    return [skipped("service", `${unit} is not installed (systemd/install.sh)`)];
  const found: Finding[] = [];
  const packaged = packagedUnit(patient);
  if (packaged !== undefined && packaged !== read(file)) {
    const fix = `changes of your own belong in a drop-in ('sudo systemctl edit agent-mesh'); 'sudo systemd/install.sh' brings the packaged unit back`;
    found.push(warn("service unit", `${file} differs from the packaged one`, fix));
  } else {
    found.push(ok("service unit", file));
  }
  const enabled = existsSync(join(root, "etc/systemd/system/multi-user.target.wants", unit));
  found.push(
    enabled
      ? ok("service at boot", "enabled")
      : warn(
          "service at boot",
          "the agent is not started when the device boots",
          "sudo systemctl enable agent-mesh",
        ),
  );
  if (root !== "/") return found;
  try {
    found.push(await checkState());
  } catch (error) {
    found.push(skipped("service state", `systemctl does not answer: ${wordsOf(error)}`));
  }
  return found;
};

/** @returns bytes, or undefined for no limit. `512M`, `1G`, `536870912`, `max`. */
function bytesOf(text: string | undefined): number | undefined {
  const found = /^(\d+)([KMG]?)$/.exec(text?.trim() ?? "");
  if (found === null) return undefined;
  return Number(found[1]) * ({ K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[found[2] ?? ""] ?? 1);
}

/** The memory limit that the kernel enforces, beside the one that the agent keeps to. */
export const checkLimits: Check = async (patient) => {
  const { root, config } = patient;
  const subject = "memory limit";
  const controllers = read(join(root, "sys/fs/cgroup/cgroup.controllers"));
  if (controllers !== undefined && !controllers.split(/\s/).includes("memory")) {
    const fix =
      "append 'cgroup_enable=memory' to the one line of /boot/firmware/cmdline.txt and reboot";
    return [
      warn(subject, "the kernel has memory limits switched off, so MemoryMax has no effect", fix),
    ];
  }
  if (config === undefined) return [];
  const file = unitDirectories.map((directory) => join(root, directory, unit)).find(existsSync);
  const set = /^MemoryMax=(.*)$/m.exec((file && read(file)) ?? packagedUnit(patient) ?? "")?.[1];
  const limit = bytesOf(set);
  const budget = config.budget.memoryBytesMax;
  if (limit === undefined) return [skipped(subject, "no MemoryMax")];
  if (budget === undefined) return [ok(subject, `MemoryMax=${set}`)];
  const told = `MemoryMax=${set}, budget.memoryBytesMax ${Math.round(budget / 2 ** 20)}M`;
  return [
    budget <= limit
      ? ok(subject, told)
      : warn(
          subject,
          `${told}: the kernel ends the agent before it notices`,
          `set budget.memoryBytesMax to ${limit} at most, or raise MemoryMax`,
        ),
  ];
};
