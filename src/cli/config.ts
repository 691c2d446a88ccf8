import type { Command } from "commander";
import { redacted } from "../config/redact.ts";
import { configSchema } from "../config/schema.ts";
import { type ConfigSourceOptions, readConfig, withConfigSource } from "./config-source.ts";

/** Adds `agent-mesh config check|show|schema`. */
export function registerConfig(program: Command): void {
  const config = program.command("config").description("check and show the configuration");
  withConfigSource(
    config
      .command("check")
      .description("say whether the configuration can be used, and what to mend")
      .option("--json", "print JSON"),
  ).action(async (options: ConfigSourceOptions & { json?: true }) => {
    await readConfig(options);
    const text = options.json === true ? JSON.stringify({ ok: true }) : "the configuration is fine";
    process.stdout.write(`${text}\n`);
  });
  withConfigSource(
    config
      .command("show")
      .description("print the configuration in force, with defaults and without secrets")
      .option("--json", "print JSON"),
  ).action(async (options: ConfigSourceOptions & { json?: true }) => {
    const inForce = redacted(await readConfig(options));
    const { stringify } = await import("yaml");
    const text =
      options.json === true ? `${JSON.stringify(inForce, null, 2)}\n` : stringify(inForce);
    process.stdout.write(text);
  });
  config
    .command("schema")
    .description("print the JSON Schema of the configuration, for editors")
    .option("--json", "print JSON (it is JSON either way)")
    .action(() => {
      process.stdout.write(`${JSON.stringify(configSchema, null, 2)}\n`);
    });
}
