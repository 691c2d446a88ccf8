import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export const COMMAND = resolve(import.meta.dirname, "../../bin/agent-mesh");
const READY_WITHIN_MS = 90_000;
const STOPPED_WITHIN_MS = 10_000;
const LOG_CHARACTERS_MAX = 20_000;

/** Asks again and again until the answer is neither undefined nor false. @throws Error naming `what` */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  withinMs: number,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadlineMs)
      throw new Error(`waited ${Math.round(withinMs / 1_000)} s for ${what}`);
    await delay(200);
  }
}

/** An agent in a process of its own, with a configuration file and a data directory of its own. */
export class FleetAgent {
  readonly name: string;
  readonly data: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #log = "";
  #api = "";
  #mqtt = "";

  private constructor(name: string, data: string, config: string) {
    this.name = name;
    this.data = data;
    this.#child = spawn(COMMAND, ["run", "--config", config, "--data", data], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exited = once(this.#child, "close");
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_CHARACTERS_MAX);
      });
  }

  /** Starts one. Nobody tells it where the others are. */
  static async begin(name: string, directory: string, networkKey: string): Promise<FleetAgent> {
    const data = join(directory, name);
    await mkdir(data, { recursive: true });
    const config = join(directory, `${name}.yaml`);
    await writeFile(config, configOf(name, networkKey));
    return new FleetAgent(name, data, config);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Where REST and the page are. */
  get api(): string {
    return this.#api;
  }

  /** Of its own MQTT broker. */
  get mqtt(): string {
    return this.#mqtt;
  }

  /** The last that it printed. */
  get log(): string {
    return this.#log;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of an administrator, from the first start. */
  async token(): Promise<string> {
    return (await readFile(join(this.data, "admin.token"), "utf8")).trim();
  }

  /** @throws Error with what it printed, when it is not ready in time */
  async ready(): Promise<void> {
    await until(`${this.name} to be ready`, () => this.#isReady(), READY_WITHIN_MS).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; it printed:\n${this.#log}`);
      },
    );
  }

  /** @returns undefined while it does not answer, or with an error */
  async get<Document>(path: string): Promise<Document | undefined> {
    try {
      const response = await fetch(this.#api + path, {
        headers: { authorization: `Bearer ${await this.token()}` },
        signal: AbortSignal.timeout(5_000),
      });
      return response.ok ? ((await response.json()) as Document) : undefined;
    } catch {
      return undefined;
    }
  }

  /** As a power cut does: it has no time to say good-bye. */
  async kill(): Promise<void> {
    if (this.isAlive) this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** In order, or else by force. */
  async stop(): Promise<void> {
    if (this.isAlive) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOPPED_WITHIN_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  async #isReady(): Promise<boolean> {
    if (!this.isAlive) throw new Error(`${this.name} ended at once`);
    try {
      const text = await readFile(join(this.data, "run.json"), "utf8");
      const run = JSON.parse(text) as { api: { url: string }; mqtt: { url: string } };
      this.#api = run.api.url;
      this.#mqtt = run.mqtt.url;
      return (await fetch(`${this.#api}/readyz`)).ok;
    } catch {
      return false;
    }
  }
}

/** There is no `mesh.bootstrap`: neighbours are found by mDNS. The key keeps others on this network out. */
function configOf(name: string, networkKey: string): string {
  return `agent: { id: ${name} }
api: { port: 0 }
mqtt:
  deviceReadings: false
  broker: { port: 0 }
mesh:
  enabled: true
  host: 0.0.0.0
  port: 0
  transports: [tcp]
  networkKeyFile: ${JSON.stringify(networkKey)}
  discovery: { mdns: true, peerExchange: false, remember: false }
power: { mode: normal }
consensus: { enabled: true, foundAfterMs: 2000 }
learning: { enabled: true, gatherMs: 200 }
`;
}
