import type { Command } from "commander";
import type { Agent } from "../agent/compose.ts";
import type { Config } from "../config/schema.ts";
import type { Installation } from "../platform/node/installation.ts";
import { urlOf } from "../uplink/options.ts";
import { type ConfigSourceOptions, readConfig, withConfigSource } from "./config-source.ts";
import { loadFirmwareProfiles } from "./firmware-profiles.ts";
import { stopSignal } from "./stop-signal.ts";

interface RunOptions extends ConfigSourceOptions {
  readonly data: string;
  readonly profile?: string;
  readonly json?: true;
}

/** Adds `agent-mesh run`: the agent itself, in the foreground. */
export function registerRun(program: Command, installation: Installation): void {
  withConfigSource(
    program
      .command("run", { isDefault: false })
      .description("run the agent on this device until it is told to stop (SIGTERM, Ctrl-C)")
      .option("--data <dir>", "where readings, tokens and ports are kept", "./data")
      .option("--profile <id>", "firmware profile instead of the one that fits the device")
      .option("--json", "write log lines as JSON even to a terminal"),
  ).action(async (options: RunOptions) => {
    const profile = options.profile === undefined ? [] : [`device.profile=${options.profile}`];
    const config = await readConfig({ ...options, set: [...options.set, ...profile] });
    await run(config, options, installation);
  });
}

const EXIT_PATIENCE_MS = 1_000;

async function run(config: Config, options: RunOptions, installation: Installation): Promise<void> {
  // What only `run` needs is loaded here, so that `status` and the others start at once.
  const [{ startProductionAgent }, { PinoLogger }, { logWriter }] = await Promise.all([
    import("../agent/production.ts"),
    import("../platform/pino/pino-logger.ts"),
    import("../platform/pino/log-writer.ts"),
  ]);
  const terminal = process.stderr.isTTY && options.json !== true;
  const format = terminal ? "terminal" : process.env["JOURNAL_STREAM"] ? "journal" : "json";
  const logger = PinoLogger.create({
    level: config.log.level,
    write: logWriter(format, (text) => process.stderr.write(text)),
  });
  const stop = stopSignal();
  const agent = await startProductionAgent({
    config,
    dataDirectory: options.data,
    installation,
    logger,
    firmwareProfiles: () => loadFirmwareProfiles(options.data),
    environment: process.env,
    pid: process.pid,
  });
  if (process.stdout.isTTY && options.json !== true)
    process.stdout.write(greeting(agent, config, options.data));
  const signal = await stop;
  logger.info("stopping", { signal });
  await agent.stop();
  logger.info("stopped");
  // Threads of native libraries (WebRTC's above all) may outlive what they worked for.
  setTimeout(() => process.exit(), EXIT_PATIENCE_MS).unref();
}

function greeting({ info, context }: Agent, config: Config, data: string): string {
  const filters = config.mqtt.topics.map(({ filter }) => filter).join(", ");
  const uplinks = config.uplinks.map((uplink) => `${uplink.name} (${urlOf(uplink)})`).join(", ");
  const rows = [
    ["page", info.api?.url ?? "none"],
    ["token", `${data}/admin.token`],
    ["readings", `${info.mqtt.url}, topics ${filters}`],
    [
      "uplinks",
      uplinks || "none yet: readings are kept until there is one (uplinks in the config)",
    ],
    ["device", context.device.profile().name],
  ];
  const lines = rows.map(([name, value]) => `  ${(name ?? "").padEnd(10)}${value}`);
  return `\nAgent Mesh ${context.version}, agent ${context.agentId}\n${lines.join("\n")}\n\n`;
}
