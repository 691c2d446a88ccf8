import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { generateIdentityPem } from "../../src/platform/libp2p/identity-key.ts";
import { freePort } from "../../test/support/free-port.ts";
import type { RaftNodeFile } from "../peers/raft-node.ts";
import { Program, root, until } from "./processes.ts";

const MEMBERS = [0, 1, 2];
/** Threads of the collector would have to be waited for where there are more processes than cores. */
const FLAGS = ["--single-threaded-gc", "--max-semi-space-size=8"];

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly url: string;
}

/** Three processes that agree, behind etcd's JSON gateway. */
export class KvCluster {
  readonly #commands: readonly Command[];
  readonly #programs: Program[];

  constructor(commands: readonly Command[]) {
    this.#commands = commands;
    this.#programs = commands.map(({ program, args }) => new Program(program, args));
  }

  urlOf(member: number): string {
    return this.#commands[member]?.url ?? "";
  }

  pidOf(member: number): number {
    return this.#programs[member]?.pid ?? 0;
  }

  /** Waits until every member that runs says that the same one leads. @returns which one */
  leader(): Promise<number> {
    return until("a leader", async () => {
      const said = await Promise.all(MEMBERS.map((member) => this.#status(member)));
      const running = said.flatMap((each) => each ?? []);
      const leaders = new Set(running.map(({ leader }) => leader));
      const at = said.findIndex((each) => each !== undefined && each.self === each.leader);
      if (leaders.size === 1 && at >= 0 && running.length === MEMBERS.length) return at;
      await sleep(50);
      return undefined;
    });
  }

  async kill(member: number): Promise<void> {
    await this.#programs[member]?.stop("SIGKILL");
  }

  restart(member: number): void {
    const command = this.#commands[member];
    if (command !== undefined) this.#programs[member] = new Program(command.program, command.args);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop("SIGKILL")));
  }

  async #status(member: number): Promise<{ self: string; leader: string } | undefined> {
    try {
      const response = await fetch(`${this.urlOf(member)}/v3/maintenance/status`, {
        method: "POST",
        body: "{}",
        signal: AbortSignal.timeout(1_000),
      });
      const { header, leader } = (await response.json()) as {
        header?: { member_id?: string };
        leader?: string;
      };
      if (header?.member_id === undefined || leader === undefined || leader === "0")
        return undefined;
      return { self: header.member_id, leader };
    } catch {
      return undefined;
    }
  }
}

/** Three members of ours. */
export async function startRaft(directory: string): Promise<KvCluster> {
  const members = [];
  for (const member of MEMBERS)
    members.push({
      pem: generateIdentityPem(),
      meshPort: await freePort(),
      httpPort: await freePort(),
      directory: join(directory, `raft-${member}`),
    });
  const file = join(directory, "raft.json");
  const told: RaftNodeFile = { group: randomBytes(16).toString("hex"), members };
  writeFileSync(file, JSON.stringify(told));
  const program = join(root, "bench/peers/raft-node.ts");
  return new KvCluster(
    members.map(({ httpPort }, member) => ({
      program: process.execPath,
      args: [...FLAGS, program, file, String(member)],
      url: `http://127.0.0.1:${httpPort}`,
    })),
  );
}

/** Three members of Debian's etcd, as it is set up by default. */
export async function startEtcd(directory: string): Promise<KvCluster> {
  const program = etcd();
  const ports = [];
  for (const member of MEMBERS)
    ports.push({ member, client: await freePort(), peer: await freePort() });
  const cluster = ports
    .map(({ member, peer }) => `etcd-${member}=http://127.0.0.1:${peer}`)
    .join(",");
  return new KvCluster(
    ports.map(({ member, client, peer }) => {
      const url = `http://127.0.0.1:${client}`;
      const peerUrl = `http://127.0.0.1:${peer}`;
      const args = [
        ["--name", `etcd-${member}`],
        ["--data-dir", join(directory, `etcd-${member}`)],
        ["--listen-client-urls", url, "--advertise-client-urls", url],
        ["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ["--initial-cluster", cluster, "--initial-cluster-state", "new"],
        ["--logger", "zap", "--log-level", "error"],
      ];
      return { program, args: args.flat(), url };
    }),
  );
}

/** Takes the program out of Debian's package, once: installing that would start a service. @throws Error without apt-get */
function etcd(): string {
  const directory = join(homedir(), ".cache/agent-mesh-bench", "etcd-server");
  const program = join(directory, "usr/bin/etcd");
  if (existsSync(program)) return program;
  mkdirSync(directory, { recursive: true });
  execFileSync("apt-get", ["download", "etcd-server"], { cwd: directory, stdio: "ignore" });
  const file = readdirSync(directory).find((name) => name.endsWith(".deb"));
  if (file === undefined) throw new Error("apt-get gave no package");
  execFileSync("dpkg-deb", ["-x", file, "."], { cwd: directory });
  return program;
}
