import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { Program, waitForPort } from "./processes.ts";

/** Debian's is older than `sync_interval: always`. */
const VERSION = "v2.15.2";

/** A leaf and its hub, each with JetStream. */
export interface NatsPair {
  readonly leafPort: number;
  readonly hubPort: number;
  stop(): Promise<void>;
}

/** Builds nats-server from the Go module proxy, once. @throws Error when there is no Go */
function natsServer(): string {
  const directory = join(homedir(), ".cache/agent-mesh-bench", `nats-server-${VERSION}`);
  const program = join(directory, "nats-server");
  if (existsSync(program)) return program;
  mkdirSync(directory, { recursive: true });
  execFileSync("go", ["install", `github.com/nats-io/nats-server/v2@${VERSION}`], {
    env: { ...process.env, GOBIN: directory },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return program;
}

/** The leaf syncs every message before it acknowledges it, as the agent does; the hub as it comes. */
export async function startNatsPair(directory: string): Promise<NatsPair> {
  const program = natsServer();
  const [leafPort, hubPort, linkPort] = [await freePort(), await freePort(), await freePort()];
  const start = async (name: string, port: number, rest: string): Promise<Program> => {
    const file = join(directory, `nats-${name}.conf`);
    const common = `server_name: ${name}\nlisten: "127.0.0.1:${port}"\n`;
    writeFileSync(file, `${common}${rest}`);
    const server = new Program(program, ["-c", file]);
    await waitForPort(port);
    return server;
  };
  const hub = await start(
    "hub",
    hubPort,
    `jetstream { store_dir: "${directory}/hub", domain: hub }\nleafnodes { listen: "127.0.0.1:${linkPort}" }\n`,
  );
  const leaf = await start(
    "leaf",
    leafPort,
    `jetstream { store_dir: "${directory}/leaf", domain: leaf, sync_interval: always }\nleafnodes { remotes [ { url: "nats://127.0.0.1:${linkPort}" } ] }\n`,
  );
  return {
    leafPort,
    hubPort,
    stop: async () => {
      await leaf.stop();
      await hub.stop();
    },
  };
}
