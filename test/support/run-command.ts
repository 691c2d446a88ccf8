import { Command } from "commander";

/**
 * Runs one command line in this process, quiet about what is wrong with it.
 * @param register what the program knows
 * @returns what it printed and the exit code it set @throws CommanderError where it is no command line
 */
export async function runCommand(
  register: readonly ((program: Command) => void)[],
  words: readonly string[],
): Promise<{ readonly out: string; readonly exitCode: number }> {
  const program = new Command("agent-mesh");
  for (const each of register) each(program);
  quiet(program);
  let out = "";
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: unknown) => {
    out += String(text);
    return true;
  };
  try {
    await program.parseAsync([...words], { from: "user" });
    return { out, exitCode: Number(process.exitCode ?? 0) };
  } finally {
    process.stdout.write = write;
    process.exitCode = 0;
  }
}

function quiet(command: Command): void {
  command.exitOverride();
  command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  command.commands.forEach(quiet);
}
