import { existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { chooseFirmwareProfile } from "../device/firmware-profile.ts";
import { LinuxDeviceProbe } from "../platform/linux/linux-device-probe.ts";
import { deviceTable } from "./device-table.ts";
import { loadFirmwareProfiles } from "./firmware-profiles.ts";

/** CPU use is what happened between two looks. */
const betweenLooksMs = 250;

/** Adds `agent-mesh device`: what this device is and what can be measured here. */
export function registerDevice(program: Command): void {
  program
    .command("device")
    .description(
      "show what this device is, its firmware profile, and everything that can be measured",
    )
    .option("--root <dir>", "read another machine's tree, with proc, sys and etc in it", "/")
    .option("--data <dir>", "data directory, whose disk is examined", "./data")
    .option("--profile <id>", "use this firmware profile instead of the one that fits", "auto")
    .option("--json", "print JSON")
    .action(
      async (
        options: { root: string; data: string; profile: string; json?: true },
        command: Command,
      ) => {
        const root = resolve(options.root);
        if (!existsSync(root) || !statSync(root).isDirectory()) {
          command.error(`error: --root ${options.root} is not a directory`, {
            exitCode: 2,
            code: "cli.bad-root",
          });
        }
        try {
          const report = await examine({ ...options, root });
          const text = options.json === true ? toJson(report) : deviceTable(report);
          command.configureOutput().writeOut?.(`${text}\n`);
        } catch (error) {
          const { message, code = "cli.failed" } = error as Error & { code?: string };
          command.error(`error: ${message}`, {
            exitCode: code === "profile.unknown" ? 2 : 1,
            code,
          });
        }
      },
    );
}

type Report = Parameters<typeof deviceTable>[0];

async function examine(options: { root: string; data: string; profile: string }): Promise<Report> {
  const probe = new LinuxDeviceProbe({
    root: options.root,
    dataDirectory: nearestExisting(resolve(options.data)),
  });
  const identity = await probe.identify();
  const profiles = await loadFirmwareProfiles(options.data);
  const { profile, because } = chooseFirmwareProfile(profiles, identity, options.profile);
  probe.configure(profile.probe);
  await probe.sample();
  await sleep(betweenLooksMs);
  return { identity, profile, chosenBecause: because, sample: await probe.sample() };
}

/** Before the first start there is no data directory yet; it will be made on the same disk. */
function nearestExisting(directory: string): string {
  return existsSync(directory) ? directory : nearestExisting(dirname(directory));
}

function toJson({ identity, profile, chosenBecause, sample }: Report): string {
  const chosen = { id: profile.id, name: profile.name, chosenBecause };
  return JSON.stringify({ identity, profile: chosen, sample }, null, 2);
}
