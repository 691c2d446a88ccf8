import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import { command, until } from "./agent-process.ts";

/** `agent-mesh receive` as a process of its own. */
export class ReceiverProcess {
  readonly data: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;
  #log = "";
  #url = "";

  private constructor(data: string, words: readonly string[]) {
    this.data = data;
    this.#child = spawn(command, ["receive", "--data", data, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: undefined },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    this.#exited = new Promise((done) => {
      this.#child.once("close", (code, signal) => done(code ?? signal ?? "unknown"));
    });
  }

  /** Starts a receiver and waits until it serves. The test's end ends it. */
  static async start(
    t: Test,
    data: string,
    words: readonly string[] = ["--listen", "127.0.0.1:0"],
  ): Promise<ReceiverProcess> {
    const receiver = new ReceiverProcess(data, words);
    t.teardown(() => receiver.kill());
    await until("the receiver to serve", () => receiver.#isServing());
    return receiver;
  }

  get url(): string {
    return this.#url;
  }

  /** Everything it printed so far. */
  get log(): string {
    return this.#log;
  }

  get token(): string {
    return readFileSync(join(this.data, "admin.token"), "utf8").trim();
  }

  /** @returns the JSON document at this path */
  async get<Document>(path: string): Promise<Document> {
    return (await (await this.ask(path)).json()) as Document;
  }

  /** A request with the admin token. */
  ask(path: string, init: { method?: string; body?: string } = {}): Promise<Response> {
    const headers = {
      authorization: `Bearer ${this.token}`,
      "content-type": "application/x-ndjson",
    };
    return fetch(this.#url + path, { ...init, headers });
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** Asks for an orderly stop. @returns the exit code */
  async stop(): Promise<number | string> {
    this.#child.kill("SIGTERM");
    return this.#exited;
  }

  #isServing(): boolean {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw new Error(`the receiver ended at once:\n${this.#log}`);
    const file = join(this.data, "run.json");
    if (!existsSync(file)) return false;
    const text = readFileSync(file, "utf8");
    // One that was killed leaves its file behind.
    if (!text.includes(`"pid": ${this.#child.pid},`)) return false;
    this.#url = (JSON.parse(text) as { api: { url: string } }).api.url;
    return true;
  }
}
