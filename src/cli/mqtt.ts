import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import type { Command } from "commander";
import { print, printJson } from "./output.ts";

const PASSWORD_BYTES_MAX = 1_024;

/** Adds `agent-mesh mqtt hash-password`. */
export function registerMqtt(program: Command): void {
  const group = program.command("mqtt").description("help with the embedded MQTT broker");
  group
    .command("hash-password")
    .description(
      "print the hash of a password for mqtt.broker.users; the password comes from a prompt or standard input",
    )
    .option("--json", "print JSON")
    .action(async ({ json }: { json?: true }) => {
      const password = process.stdin.isTTY ? await askTwice() : await firstLine();
      if (password === "") throw new Error("the password is empty");
      const bytes = Buffer.from(password);
      if (bytes.length > PASSWORD_BYTES_MAX)
        throw new Error(`the password is over ${PASSWORD_BYTES_MAX} bytes`);
      const { scryptHasher } = await import("../platform/node/scrypt-hasher.ts");
      const passwordHash = await scryptHasher.hash(bytes);
      if (json === true) printJson({ passwordHash });
      else print(passwordHash);
    });
}

/** Never an argument: those are seen by everybody on the machine, and kept by the shell. */
async function firstLine(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += chunk as string;
    if (text.includes("\n") || text.length > PASSWORD_BYTES_MAX * 2) break;
  }
  return text.split(/\r?\n/, 1)[0] ?? "";
}

async function askTwice(): Promise<string> {
  // The terminal would show what is typed; readline echoes into nothing instead.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const ask = async (question: string): Promise<string> => {
    process.stderr.write(question);
    const answer = await prompt.question("");
    process.stderr.write("\n");
    return answer;
  };
  try {
    const password = await ask("Password: ");
    if ((await ask("Again: ")) !== password) throw new Error("the two are not the same");
    return password;
  } finally {
    prompt.close();
  }
}
