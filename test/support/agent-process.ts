import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";

/** The built agent's command. */
export const command = resolve(import.meta.dirname, "../../bin/agent-mesh");

/** Twenty agents that start at once on a machine with little to spare are slow: a bound, no promise. */
const PATIENCE_MS = 120_000;

/** Asks again and again until the answer is neither undefined nor false. @throws Error naming `what`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadlineMs) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await delay(10);
  }
}

/** What a command that ended by itself did. */
export interface Outcome {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Put in front of the command, for example `setpriv`. */
  readonly prefix?: readonly string[];
  /** Nobody here can reach it: that it says that it has started has to do. */
  readonly unseen?: boolean;
}

/** Runs one command to its end. @throws Error when it did not end, with what it had said. */
export async function agentMesh(
  words: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  const child = start(words, options);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  const closed = new Promise<number | undefined>((done) => {
    child.once("close", (code) => done(code ?? undefined));
  });
  const abort = new AbortController();
  const late = delay(PATIENCE_MS, "late" as const, { signal: abort.signal }).catch(() => "late");
  const code = await Promise.race([closed, late]);
  abort.abort();
  if (typeof code === "string") {
    child.kill("SIGKILL");
    throw new Error(`agent-mesh ${words.join(" ")} did not end:\n${said.stdout}${said.stderr}`);
  }
  return { code, ...said };
}

function start(words: readonly string[], { env, cwd, prefix = [] }: CommandOptions): ChildProcess {
  const [program = command, ...args] = [...prefix, command, ...words];
  return spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: undefined, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** A running agent, as a process of its own. */
export class AgentProcess {
  readonly data: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;
  #log = "";
  /** Why it was not ready when it was asked last. */
  #unready = "it was not asked";
  #api = "";
  readonly #unseen: boolean;
  #mqttPort = 0;

  private constructor(data: string, sets: readonly string[], options: CommandOptions = {}) {
    this.data = data;
    this.#unseen = options.unseen === true;
    const all = ["api.port=0", "mqtt.broker.port=0", "mqtt.deviceReadings=false", ...sets];
    this.#child = start(["run", "--data", data, ...all.flatMap((set) => ["--set", set])], options);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    this.#exited = new Promise((done) => {
      this.#child.once("close", (code, signal) => done(code ?? signal ?? "unknown"));
    });
  }

  /** Starts an agent on free ports and waits until it is ready. The test's end ends it. */
  static async start(
    t: Test,
    data: string,
    sets: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<AgentProcess> {
    const agent = new AgentProcess(data, sets, options);
    t.teardown(() => agent.kill());
    await until("the agent to be ready", () => agent.#isReady()).catch((error: unknown) => {
      throw new Error(`${String(error)}; ${agent.#unready}; it has said:\n${agent.#log}`);
    });
    return agent;
  }

  /** Starts an agent and kills it, wherever it has got by then. */
  static async killedAfter(data: string, ms: number): Promise<void> {
    const agent = new AgentProcess(data, []);
    await delay(ms);
    await agent.kill();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get api(): string {
    return this.#api;
  }

  get mqttPort(): number {
    return this.#mqttPort;
  }

  /** Everything it printed so far. */
  get log(): string {
    return this.#log;
  }

  get residentBytes(): number {
    return this.#memory("VmRSS");
  }

  /** Without pages of files, which the kernel takes back when it needs them. */
  get anonymousBytes(): number {
    return this.#memory("RssAnon");
  }

  #memory(field: "VmRSS" | "RssAnon"): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024;
  }

  /** @returns the JSON document at this path. @throws Error when the agent refuses. */
  async get<Document>(path: string): Promise<Document> {
    const response = await this.ask(path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Document;
  }

  /** A request with the admin token, unless `init` brings other headers. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    const token = readFileSync(join(this.data, "admin.token"), "utf8").trim();
    return fetch(this.#api + path, { headers: { authorization: `Bearer ${token}` }, ...init });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** @returns the exit code, or the name of the signal that ended it. */
  exited(): Promise<number | string> {
    return this.#exited;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal("SIGKILL");
    await this.#exited;
  }

  /** Asks for an orderly stop. @returns exit code and how long it took. */
  async stop(): Promise<{ code: number | string; ms: number }> {
    const startedMs = performance.now();
    this.signal("SIGTERM");
    const code = await this.#exited;
    return { code, ms: performance.now() - startedMs };
  }

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw new Error(`the agent ended at once:\n${this.#log}`);
    const file = join(this.data, "run.json");
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    // An agent that was killed leaves its file behind.
    if (!text.includes(`"pid": ${this.pid},`)) {
      this.#unready = `run.json is not that of ${this.pid}: ${text}`;
      return false;
    }
    const run = JSON.parse(text) as { api: { url: string }; mqtt: { url: string } };
    this.#api = run.api.url;
    this.#mqttPort = Number(new URL(run.mqtt.url).port);
    if (this.#unseen) return this.#log.includes("agent started");
    try {
      const response = await fetch(`${run.api.url}/readyz`);
      this.#unready = `${response.status} ${await response.text()}`;
      return response.status === 200;
    } catch (error) {
      this.#unready = `${run.api.url}: ${String((error as Error).cause ?? error)}`;
      return false;
    }
  }
}
