import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs, Program, root, until } from "./processes.ts";

/** A fleet may have to share this machine. */
const PATIENCE_MS = 180_000;
const RUN_MAX_MS = 1_800_000;
const LOOK_EVERY_MS = 100;

/** A round, as an agent tells of it. */
export interface ToldRound {
  readonly round: number;
  readonly tookMs?: number;
  readonly updates: number;
  readonly evaluation?: { readonly accuracy?: number };
}

/** A task, as an agent tells of it. */
export interface ToldTask {
  readonly task: string;
  readonly state: string;
  readonly round: number;
  readonly activity: string;
  readonly progress?: { readonly round: number; readonly step: number };
}

/** What an agent has come to. */
export interface AgentFigures {
  readonly name: string;
  readonly cpuMs: number;
  /** The most that was resident, as the kernel remembers it. */
  readonly peakBytes: number;
  readonly sentBytes: number;
}

/** A built agent that learns, in a process of its own. */
export class LearningAgent {
  readonly name: string;
  readonly data: string;
  readonly program: Program;
  #api = "";
  #token = "";

  constructor(name: string, data: string, sets: readonly string[]) {
    this.name = name;
    this.data = data;
    const words = sets.flatMap((set) => ["--set", set]);
    this.program = new Program(join(root, "bin/agent-mesh"), ["run", "--data", data, ...words]);
  }

  /** Until it answers. @returns an address at which others reach it */
  async ready(): Promise<string> {
    const addresses = await until(
      `${this.name} to be ready`,
      async () => {
        const text = await readFile(join(this.data, "run.json"), "utf8").catch(() => undefined);
        if (text === undefined) return undefined;
        const told = JSON.parse(text) as { api: { url: string }; mesh: { addresses: string[] } };
        this.#api = told.api.url;
        this.#token = (await readFile(join(this.data, "admin.token"), "utf8")).trim();
        const response = await fetch(`${this.#api}/readyz`).catch(() => undefined);
        await response?.arrayBuffer();
        return response?.ok === true ? told.mesh.addresses : undefined;
      },
      PATIENCE_MS,
    );
    return addresses[0] ?? "";
  }

  async get<T>(path: string): Promise<T> {
    return this.#ask<T>(path, {});
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    return this.#ask<T>(
      path,
      { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) },
      body === undefined ? {} : { "content-type": "application/json" },
    );
  }

  /** In the order of their numbers. */
  async rounds(task: string): Promise<readonly ToldRound[]> {
    const { items } = await this.get<{ items: ToldRound[] }>(
      `/v1/learning/tasks/${task}/rounds?limit=500`,
    );
    return items.toSorted((one, other) => one.round - other.round);
  }

  async figures(): Promise<AgentFigures> {
    const { pid } = this.program;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const { counters } = await this.get<{ counters: { sentBytes: number } }>("/v1/learning");
    return {
      name: this.name,
      cpuMs: cpuMs(pid),
      peakBytes: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1_024,
      sentBytes: counters.sentBytes,
    };
  }

  async #ask<T>(
    path: string,
    init: RequestInit,
    more: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const headers = { ...more, authorization: `Bearer ${this.#token}` };
    const response = await fetch(this.#api + path, { ...init, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${this.name}: ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }
}

/** Agents of one machine that find each other over the first one, real in everything but the distance. */
export class LearningFleet {
  readonly agents: LearningAgent[] = [];
  readonly #directory: string;
  readonly #sets: readonly string[];
  #bootstrap: string | undefined;

  /** @param sets settings of every agent, beside those of a fleet that learns */
  constructor(directory: string, sets: readonly string[] = []) {
    this.#directory = directory;
    this.#sets = sets;
  }

  /** Starts agents, each with a file of samples, and waits until they answer. */
  async start(files: ReadonlyMap<string, string>): Promise<LearningAgent[]> {
    const started: LearningAgent[] = [];
    for (const [name, file] of files) {
      const agent = new LearningAgent(name, join(this.#directory, name), [
        `agent.id=${name}`,
        "api.port=0",
        "mqtt.broker.port=0",
        "mqtt.deviceReadings=false",
        "mesh.enabled=true",
        "mesh.port=0",
        'mesh.transports=["tcp"]',
        "power.mode=normal",
        "consensus.enabled=true",
        "consensus.foundAfterMs=3000",
        "learning.enabled=true",
        "learning.gatherMs=500",
        `learning.datasets=${JSON.stringify([{ name: "digits", file }])}`,
        ...this.#sets,
        ...(this.#bootstrap === undefined ? [] : [`mesh.bootstrap=["${this.#bootstrap}"]`]),
      ]);
      this.agents.push(agent);
      started.push(agent);
      // The others need the address of the first.
      if (this.#bootstrap === undefined) this.#bootstrap = await agent.ready();
    }
    await Promise.all(started.map((agent) => agent.ready()));
    return started;
  }

  /** Until there is a committee that does not change any more. */
  async settled(): Promise<void> {
    let before = "";
    let sinceMs = performance.now();
    await until(
      "a committee",
      async () => {
        const seen = await Promise.all(
          this.agents.map((agent) =>
            agent.get<{ committee?: { members: readonly { peerId: string }[] } }>("/v1/consensus"),
          ),
        );
        const members = seen.map(({ committee }) =>
          committee?.members
            .map(({ peerId }) => peerId)
            .sort()
            .join(),
        );
        const now = members.join(";");
        if (now !== before || members.includes(undefined)) {
          before = now;
          sinceMs = performance.now();
        }
        await sleep(250);
        return new Set(members).size === 1 && performance.now() - sinceMs > 8_000
          ? true
          : undefined;
      },
      PATIENCE_MS,
    );
  }

  /** Has the fleet learn something. @returns the task's name */
  async learn(spec: unknown): Promise<string> {
    const [first] = this.agents;
    if (first === undefined) throw new Error("there is no agent");
    const { task } = await first.post<ToldTask>("/v1/learning/tasks", spec);
    return task;
  }

  /** Until so many rounds are decided. */
  async reached(task: string, round: number): Promise<void> {
    const [first] = this.agents;
    await until(
      `round ${round}`,
      async () => {
        await sleep(LOOK_EVERY_MS);
        const told = await first?.get<ToldTask>(`/v1/learning/tasks/${task}`);
        return told !== undefined && told.round >= round ? true : undefined;
      },
      RUN_MAX_MS,
    );
  }

  /** As after a power failure. */
  async kill(name: string): Promise<void> {
    const at = this.agents.findIndex((agent) => agent.name === name);
    const [agent] = this.agents.splice(at, 1);
    await agent?.program.stop("SIGKILL");
  }

  async stop(): Promise<void> {
    await Promise.all(this.agents.splice(0).map(({ program }) => program.stop()));
  }
}
