import { Command } from "commander";
import { registerLearn } from "../../src/cli/learn.ts";

/** Runs one line of `agent-mesh learn` in this process. @returns what it printed and the exit code it set */
export async function runLearn(
  words: readonly string[],
): Promise<{ readonly out: string; readonly exitCode: number }> {
  const program = new Command("agent-mesh").exitOverride();
  registerLearn(program);
  const quiet = (command: Command): void => {
    command.exitOverride();
    command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    command.commands.forEach(quiet);
  };
  quiet(program);
  let out = "";
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: unknown) => {
    out += String(text);
    return true;
  };
  try {
    await program.parseAsync(["learn", ...words], { from: "user" });
    return { out, exitCode: Number(process.exitCode ?? 0) };
  } finally {
    process.stdout.write = write;
    process.exitCode = 0;
  }
}
