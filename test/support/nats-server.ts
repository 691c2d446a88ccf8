import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JetStreamManager, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Test } from "tap";
import { freePort } from "./free-port.ts";
import { canConnect, eventually } from "./mosquitto.ts";

const PROGRAM = "nats-server";

/** @returns why nats-server can not be used here, or false. */
export function natsMissing(): string | false {
  const { error } = spawnSync(PROGRAM, ["--version"]);
  return error === undefined ? false : "nats-server is not installed: apt-get install nats-server";
}

/** A real nats-server of the test's own; its store survives {@link kill} and {@link start}. */
export class NatsServer {
  readonly port: number;
  readonly #t: Test;
  readonly #directory: string;
  #end: (signal: NodeJS.Signals) => Promise<void> = () => Promise.resolve();

  private constructor(t: Test, port: number, lines: readonly string[]) {
    this.#t = t;
    this.port = port;
    this.#directory = mkdtempSync(join(tmpdir(), "nats-"));
    t.teardown(() => rmSync(this.#directory, { recursive: true, force: true }));
    const all = [`listen: "127.0.0.1:${port}"`, ...lines];
    writeFileSync(this.#file, `${all.join("\n")}\n`);
  }

  /** Starts a server with these lines of configuration; by default JetStream is on. */
  static async start(t: Test, lines?: readonly string[]): Promise<NatsServer> {
    const server = new NatsServer(t, await freePort(), lines ?? []);
    if (lines === undefined) server.#write([`jetstream { store_dir: "${server.#directory}" }`]);
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get #file(): string {
    return join(this.#directory, "nats.conf");
  }

  #write(lines: readonly string[]): void {
    writeFileSync(this.#file, [`listen: "127.0.0.1:${this.port}"`, ...lines, ""].join("\n"));
  }

  async start(): Promise<void> {
    const child = spawn(PROGRAM, ["-c", this.#file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#t.teardown(() => child.kill("SIGKILL"));
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000);
    });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    this.#end = async (signal) => {
      child.kill(signal);
      await ended;
    };
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${said}`);
      return said.includes("Server is ready") && (await canConnect(this.port));
    });
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Lets somebody else look at the server, over a connection of their own. */
  async ask<T>(question: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const connection = await connect({ servers: [`127.0.0.1:${this.port}`], reconnect: false });
    try {
      return await question(await jetstreamManager(connection));
    } finally {
      await connection.close();
    }
  }

  /** Everything the stream holds, in order. */
  stored(stream: string): Promise<StoredMsg[]> {
    return this.ask(async (manager) => {
      const { state } = await manager.streams.info(stream);
      const messages: StoredMsg[] = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const message = await manager.streams.getMessage(stream, { seq });
        if (message !== null) messages.push(message);
      }
      return messages;
    });
  }
}
