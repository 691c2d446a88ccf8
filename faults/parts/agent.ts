import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Stuck, until } from "./wait.ts";

const command = resolve(import.meta.dirname, "../../bin/agent-mesh");
const clockPreload = pathToFileURL(join(import.meta.dirname, "clock-preload.mjs")).href;

/** How an agent is started. */
export interface AgentStart {
  readonly data: string;
  readonly sets: readonly string[];
  /** Put in front of the command, for example `strace` with its options. */
  readonly prefix?: readonly string[];
  /** Shifts of the wall clock: after so many ms, by so many ms. */
  readonly clock?: readonly (readonly [afterMs: number, offsetMs: number])[];
}

/** One process of the built agent. */
export class Agent {
  readonly #child: ChildProcess;
  readonly #data: string;
  readonly #closed: Promise<void>;
  log = "";
  #mqttPort = 0;
  #api = "";

  constructor({ data, sets, prefix = [], clock }: AgentStart) {
    this.#data = data;
    const all = ["api.port=0", "mqtt.broker.port=0", "mqtt.deviceReadings=false", ...sets];
    const words = ["run", "--data", data, ...all.flatMap((set) => ["--set", set])];
    const [program = command, ...args] = [...prefix, command, ...words];
    this.#child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        NODE_OPTIONS: clock === undefined ? "" : `--import=${clockPreload}`,
        FAULTS_CLOCK: JSON.stringify(clock ?? []),
      },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log = (this.log + text).slice(-200_000);
      });
    this.#closed = new Promise((done) => {
      this.#child.once("close", () => done());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** 0 while nobody listens. */
  get mqttPort(): number {
    return this.ended ? 0 : this.#mqttPort;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** @throws Stuck with what it said when it ends instead. */
  async ready(): Promise<void> {
    await until("the agent to be ready", () => {
      if (this.ended) throw new Stuck(`the agent ended at once: ${this.log.slice(-2_000)}`);
      return this.#readRunInfo();
    });
  }

  async closed(): Promise<void> {
    await this.#closed;
  }

  async kill(): Promise<void> {
    if (!this.ended) this.#child.kill("SIGKILL");
    await this.#closed;
  }

  async stop(): Promise<void> {
    if (!this.ended) this.#child.kill("SIGTERM");
    await until("the agent to stop", () => this.ended);
    await this.#closed;
  }

  /** @returns what `/v1/queue` says, or undefined when it can not be asked. */
  queue(): Promise<{ updates: number } | undefined> {
    return this.#ask<{ updates: number }>("/v1/queue");
  }

  /** @returns what `/v1/uplinks` says, to be shown. */
  async uplinks(): Promise<string> {
    return JSON.stringify(await this.#ask("/v1/uplinks"));
  }

  async #ask<Document>(path: string): Promise<Document | undefined> {
    try {
      const token = readFileSync(join(this.#data, "admin.token"), "utf8").trim();
      const response = await fetch(this.#api + path, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(2_000),
      });
      if (!response.ok) return undefined;
      return (await response.json()) as Document;
    } catch {
      return undefined;
    }
  }

  #readRunInfo(): boolean {
    const file = join(this.#data, "run.json");
    if (!existsSync(file)) return false;
    try {
      const run = JSON.parse(readFileSync(file, "utf8")) as {
        pid: number;
        api: { url: string };
        mqtt: { url: string };
      };
      // An agent that was killed leaves its file behind.
      if (run.pid !== this.pid) return false;
      this.#api = run.api.url;
      this.#mqttPort = Number(new URL(run.mqtt.url).port);
      return true;
    } catch {
      return false;
    }
  }
}
