import { type Command, CommanderError } from "commander";
import { createProgram } from "./cli/program.ts";
import { findInstallation } from "./platform/node/installation.ts";

/** Codes of errors that mean the command or its settings were wrong, not that something failed. */
const BAD_USAGE = new Set([
  "config.invalid",
  "power.policy-invalid",
  "profile.invalid",
  "profile.none-matches",
  "profile.unknown",
  "yaml.syntax",
  "yaml.too-large",
  "yaml.unreadable",
]);

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? 0 : error.exitCode === 1 ? 2 : error.exitCode;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && BAD_USAGE.has(code) ? 2 : 1;
}

/** So that output under way is written before the process ends. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwInsteadOfExit);
}

// Who reads along may stop at any time, as `head` does: that is no error, and nothing that an agent would end for.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

const program = createProgram(findInstallation(import.meta.dirname));
throwInsteadOfExit(program);
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
  // Commander has already said what was wrong with the command line.
  if (!(error instanceof CommanderError))
    process.stderr.write(`agent-mesh: ${error instanceof Error ? error.message : String(error)}\n`);
}
// Done. What a failed start may have left open must not keep the process, or the service manager, waiting.
setTimeout(() => process.exit(), 2_000).unref();
