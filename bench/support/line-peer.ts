import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that answers a line with a line. */
export class LinePeer {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #said = "";

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#name = name;
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4_096);
    });
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** @throws Error with what the process said when it ends */
  async ask(line: string): Promise<string> {
    this.#process.stdin?.write(`${line}\n`);
    const answer = await this.#lines.next();
    if (answer.done === true) throw new Error(`${this.#name} ended: ${this.#said}`);
    return answer.value;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
