import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { Config } from "../config/schema.ts";
import type { Installation } from "../platform/node/installation.ts";
import { type ConfigSourceOptions, readConfig, withConfigSource } from "./config-source.ts";
import { checkData } from "./doctor/data.ts";
import { checkDevice } from "./doctor/device.ts";
import {
  type Check,
  type Finding,
  fail,
  ok,
  type RunningAgent,
  wordsOf,
} from "./doctor/finding.ts";
import { checkNetwork } from "./doctor/network.ts";
import { checkProgram } from "./doctor/program.ts";
import { checkLimits, checkService } from "./doctor/service.ts";

const checks: readonly Check[] = [
  checkProgram,
  checkData,
  checkNetwork,
  checkService,
  checkLimits,
  checkDevice,
];

interface DoctorOptions extends ConfigSourceOptions {
  readonly data: string;
  readonly root: string;
  readonly json?: true;
}

/** Adds `agent-mesh doctor`: what is wrong with this installation, and how to mend it. */
export function registerDoctor(program: Command, installation: Installation): void {
  withConfigSource(
    program
      .command("doctor")
      .description("look over the whole installation; for what is wrong, say how to mend it")
      .option("--data <dir>", "data directory of the agent", "./data")
      .option("--root <dir>", "read /proc, /sys, /etc and /run below another directory", "/")
      .option("--json", "print JSON: {ok, findings: [{subject, outcome, detail, fix}]}"),
  ).action(async (options: DoctorOptions) => {
    const findings = await examine(options, installation);
    const healthy = findings.every(({ outcome }) => outcome !== "fail");
    const text =
      options.json === true ? JSON.stringify({ ok: healthy, findings }, null, 2) : asText(findings);
    process.stdout.write(`${text}\n`);
    if (!healthy) process.exitCode = 1;
  });
}

async function examine(options: DoctorOptions, installation: Installation): Promise<Finding[]> {
  const dataDirectory = resolve(options.data);
  const { config, finding } = await lookAtConfig(options);
  const running = runningAgent(dataDirectory);
  const root = resolve(options.root);
  const patient = { installation, config, dataDirectory, root, running };
  const findings = [finding];
  for (const check of checks) findings.push(...(await check(patient)));
  return findings;
}

async function lookAtConfig(
  options: DoctorOptions,
): Promise<{ config: Config | undefined; finding: Finding }> {
  const from = options.config ?? process.env["AGENT_MESH_CONFIG"] ?? "defaults";
  try {
    return { config: await readConfig(options), finding: ok("configuration", `${from}, valid`) };
  } catch (error) {
    const fix = `correct the keys named above; 'agent-mesh config schema' lists all that are known`;
    return { config: undefined, finding: fail("configuration", wordsOf(error), fix) };
  }
}

/** @returns the agent that `run.json` tells of, unless that process is gone. */
function runningAgent(dataDirectory: string): RunningAgent | undefined {
  try {
    const run = JSON.parse(readFileSync(join(dataDirectory, "run.json"), "utf8")) as {
      pid: number;
      api?: { url?: string };
    };
    // Another program may have the number by now: ours says so in its command line.
    const command = readFileSync(`/proc/${run.pid}/cmdline`, "utf8");
    if (!command.includes("main.") && !command.includes("agent-mesh")) return undefined;
    return { pid: run.pid, apiUrl: run.api?.url };
  } catch {
    return undefined;
  }
}

function asText(findings: readonly Finding[]): string {
  const marks = { ok: "ok  ", warn: "warn", fail: "FAIL", skipped: "-   " };
  const lines = findings.flatMap(({ subject, outcome, detail, fix }) => [
    `${marks[outcome]}  ${subject.padEnd(16)} ${detail.replaceAll("\n", `\n${" ".repeat(23)}`)}`,
    ...(fix === undefined ? [] : [`${" ".repeat(23)}→ ${fix}`]),
  ]);
  const count = (outcome: Finding["outcome"]): number =>
    findings.filter((finding) => finding.outcome === outcome).length;
  const failed = count("fail");
  const verdict =
    failed === 0
      ? `nothing is broken (${count("warn")} warnings)`
      : `${failed} broken, ${count("warn")} warnings`;
  return [...lines, "", verdict].join("\n");
}
