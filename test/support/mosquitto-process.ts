import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Test } from "tap";
import { until } from "./agent-process.ts";

/** Reason to skip what needs Mosquitto, or false. */
export const withoutMosquitto = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto_pub"].every(existsSync)
  ? false
  : "no Mosquitto; apt-get install -y mosquitto mosquitto-clients";

/** Unlimited queues, so that a subscriber sees everything that was acknowledged to the publisher. */
const SETTINGS = ["allow_anonymous true", "max_queued_messages 0", "persistence false"];

/** A Mosquitto of our own that can be ended and started again on the same port. */
export class MosquittoProcess {
  readonly port: number;
  readonly #file: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, file: string) {
    this.port = port;
    this.#file = file;
  }

  /** Makes one that is not running yet. The test's end ends it. */
  static async create(t: Test, directory: string): Promise<MosquittoProcess> {
    const port = await freePort();
    const file = join(directory, "mosquitto.conf");
    const lines = ["user root", `listener ${port} 127.0.0.1`, ...SETTINGS];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const mosquitto = new MosquittoProcess(port, file);
    t.teardown(() => mosquitto.kill());
    return mosquitto;
  }

  async start(): Promise<void> {
    this.#child = spawn("/usr/sbin/mosquitto", ["-c", this.#file], { stdio: "ignore" });
    await until("Mosquitto", () => accepts(this.port));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((done) => {
      child.once("exit", done);
    });
    child.kill("SIGKILL");
    await gone;
  }
}

/** A door in front of a port: shut, it lets nobody in and throws everybody out. */
export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #open = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @returns a gate that is shut. The test's end removes it. */
  static async create(t: Test, toPort: number): Promise<Gate> {
    const server = createServer((socket) => gate.#let(socket, toPort));
    const gate = new Gate(server);
    await new Promise<void>((done) => {
      server.listen(0, "127.0.0.1", done);
    });
    t.teardown(() => {
      gate.shut();
      return new Promise((done) => {
        server.close(done);
      });
    });
    return gate;
  }

  get port(): number {
    return portOf(this.#server);
  }

  open(): void {
    this.#open = true;
  }

  shut(): void {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  #let(outer: Socket, port: number): void {
    if (!this.#open) {
      outer.destroy();
      return;
    }
    const inner = connect({ port, host: "127.0.0.1", noDelay: true });
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

/**
 * Runs `mosquitto_pub …` or `mosquitto_sub …`; words end at blanks.
 * @returns what it printed
 * @throws Error when it failed
 */
export async function mosquittoClient(line: string, input = ""): Promise<string> {
  const [program = "", ...args] = line.split(" ");
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | null>((done) => {
    child.once("close", done);
  });
  if (code !== 0) throw new Error(`${line}: exit ${code}: ${out}`);
  return out;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const port = portOf(server);
  await new Promise((done) => {
    server.close(done);
  });
  return port;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });
}
