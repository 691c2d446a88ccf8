import type { Command } from "commander";
import { resolveConfig } from "../config/resolve.ts";
import type { Config } from "../config/schema.ts";

/** Options of every command that reads the configuration. */
export interface ConfigSourceOptions {
  readonly config?: string;
  readonly set: readonly string[];
}

/** Adds `--config` and `--set` to a command. */
export function withConfigSource(command: Command): Command {
  return command
    .option("--config <file>", "YAML file with settings (environment: AGENT_MESH_CONFIG)")
    .option(
      "--set <key=value>",
      "one setting, for example api.port=0; may be repeated",
      (value: string, sets: readonly string[]) => [...sets, value],
      [],
    );
}

/**
 * Reads file, environment and `--set`, in this order.
 * @throws ConfigError, YamlFileError
 */
export async function readConfig(options: ConfigSourceOptions): Promise<Config> {
  const { AGENT_MESH_CONFIG, ...environment } = process.env;
  const name = options.config ?? AGENT_MESH_CONFIG;
  if (name === undefined) return resolveConfig({ environment, sets: options.set });
  const { readYamlFile } = await import("../platform/yaml/read-yaml.ts");
  const document = await readYamlFile(name);
  return resolveConfig({ file: { name, document }, environment, sets: options.set });
}
