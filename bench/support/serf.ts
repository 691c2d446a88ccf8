import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { until } from "./processes.ts";

const FIRST_GOSSIP_PORT = 17_000;
const FIRST_RPC_PORT = 18_000;

/** @returns why serf can not be used here, or undefined */
export function serfMissing(): string | undefined {
  return spawnSync("serf", ["version"]).error === undefined
    ? undefined
    : "serf is not installed: apt-get install serf";
}

/** A member of HashiCorp's serf with its LAN defaults, which tells when others fail. */
export class SerfAgent {
  readonly name: string;
  readonly #child: ChildProcess;
  /** Wall time at which each member was told to have failed. */
  readonly failed = new Map<string, number>();
  /** Times that somebody was told to have failed. */
  failures = 0;
  #alive = 0;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    let rest = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line);
    });
  }

  /** @param at number of the member @param joins number of the one to join, if any */
  static start(at: number, joins: number | undefined): SerfAgent {
    const name = `serf-${at}`;
    const args = [
      "agent",
      `-node=${name}`,
      `-bind=127.0.0.1:${FIRST_GOSSIP_PORT + at}`,
      `-rpc-addr=127.0.0.1:${FIRST_RPC_PORT + at}`,
      "-log-level=info",
      ...(joins === undefined ? [] : [`-join=127.0.0.1:${FIRST_GOSSIP_PORT + joins}`]),
    ];
    return new SerfAgent(name, spawn("serf", args, { stdio: ["ignore", "pipe", "ignore"] }));
  }

  /** Members that it has seen join and not fail. */
  get alive(): number {
    return this.#alive;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #read(line: string): void {
    const [, event, name = ""] = /serf: (EventMember\w+): (\S+)/.exec(line) ?? [];
    if (event === "EventMemberJoin") this.#alive++;
    if (event !== "EventMemberFailed") return;
    this.#alive--;
    this.failures++;
    this.failed.set(name, performance.timeOrigin + performance.now());
  }
}

/** Starts members that all know each other. */
export async function startSerf(count: number): Promise<SerfAgent[]> {
  const agents = [SerfAgent.start(0, undefined)];
  for (let at = 1; at < count; at++) {
    agents.push(SerfAgent.start(at, 0));
    if (at % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await until("serf's members to know each other", () =>
    agents.every(({ alive }) => alive >= count) ? true : undefined,
  );
  return agents;
}
