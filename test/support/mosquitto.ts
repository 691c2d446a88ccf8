import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";
import { freePort } from "./free-port.ts";

const PROGRAM = "/usr/sbin/mosquitto";

/** A real Mosquitto of the test's own. */
export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** @returns why Mosquitto can not be used here, or false. */
export function mosquittoMissing(): string | false {
  const { error } = spawnSync(PROGRAM, ["-h"]);
  return error === undefined
    ? false
    : "Mosquitto is not installed: apt-get install mosquitto mosquitto-clients";
}

/**
 * Starts Mosquitto and waits until it listens; it ends with the test at the latest.
 * @param options.lines of configuration, after the listener
 */
export async function startMosquitto(
  t: Pick<Test, "teardown">,
  options: { port?: number; lines?: readonly string[]; tls?: boolean } = {},
): Promise<Mosquitto> {
  const port = options.port ?? (await freePort());
  const directory = mkdtempSync(join(tmpdir(), "mosquitto-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "mosquitto.conf");
  const lines = [`listener ${port} 127.0.0.1`, "allow_anonymous true", ...(options.lines ?? [])];
  writeFileSync(file, `user root\n${lines.join("\n")}\n`);
  const child = spawn(PROGRAM, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`mosquitto ended: ${said}`);
    return canConnect(port);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    port,
    url: `${options.tls === true ? "mqtts" : "mqtt"}://127.0.0.1:${port}`,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
  };
}

/** What one of Mosquitto's own clients did. */
export interface ClientRun {
  readonly status: number | null;
  readonly output: string;
}

/** Runs `mosquitto_pub` or `mosquitto_sub` to its end, for 15 seconds at most. */
export function mosquittoClient(
  program: "mosquitto_pub" | "mosquitto_sub",
  port: number,
  args: readonly string[],
  input?: string,
): Promise<ClientRun> {
  const child = spawn(program, ["-h", "127.0.0.1", "-p", String(port), ...args]);
  // A client that takes its message from the command line may have ended before this is written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  return collect(child, 15_000);
}

function collect(child: ChildProcess, patienceMs: number): Promise<ClientRun> {
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  return new Promise((resolve) => {
    child.once("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}

/** A subscriber that keeps what comes in, until it is stopped. */
export interface Subscriber {
  /** One entry per message: `topic payload`, or what `format` says. */
  readonly lines: string[];
  stop(): Promise<void>;
}

/** Subscribes with `mosquitto_sub`, and waits until the broker has granted it. */
export async function subscribe(
  t: Test,
  port: number,
  topic: string,
  options: { qos?: 0 | 1 | 2; format?: string; args?: readonly string[] } = {},
): Promise<Subscriber> {
  const { qos = 1, format = "%t %p", args = [] } = options;
  // Its debug lines, of which one says that the subscription stands, would wait in a buffer.
  const connection = ["-h", "127.0.0.1", "-p", String(port), "-V", "5"];
  const what = ["-d", "-q", String(qos), "-t", topic, "-F", `>${format}`];
  const child = spawn("stdbuf", ["-oL", "mosquitto_sub", ...connection, ...what, ...args]);
  t.teardown(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  let rest = "";
  let granted = false;
  child.stdout.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      if (line.startsWith(">")) lines.push(line.slice(1));
      else if (line.startsWith("Subscribed")) granted = true;
    }
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await eventually(() => granted);
  return {
    lines,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Polls until `condition` holds. @throws Error after 20 seconds. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what = "condition",
): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited 20 s in vain for ${what}`);
    await delay(5);
  }
}

/** @returns whether somebody listens there. */
export function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
