import { registerLearn } from "../../src/cli/learn.ts";
import { runCommand } from "./run-command.ts";

/** Runs one line of `agent-mesh learn` in this process. @returns what it printed and the exit code it set */
export function runLearn(words: readonly string[]): ReturnType<typeof runCommand> {
  return runCommand([registerLearn], ["learn", ...words]);
}
