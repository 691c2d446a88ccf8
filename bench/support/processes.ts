import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** The repository. */
export const root = resolve(import.meta.dirname, "../..");

const directories = new Set<string>();

/** On the disk of the checkout: a bench of durable writes on a RAM disk would measure nothing. */
export function temporaryDirectory(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(root, "data-bench-"));
  directories.add(path);
  return { path, [Symbol.dispose]: () => removeDirectory(path) };
}

/** Of a bench that does not come to its end. */
export function removeTemporaryDirectories(): void {
  for (const path of directories) removeDirectory(path);
}

function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
  directories.delete(path);
}

/** A program of ours that is ended with the block that started it. */
export class Program {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], env });
    let said = "";
    this.child.stderr?.on("data", (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-4_000);
    });
    this.exited = new Promise((done) => {
      this.child.once("error", (error) => {
        process.stderr.write(`${command}: ${error.message}\n`);
        done();
      });
      this.child.once("exit", (code) => {
        if (code !== 0 && code !== null)
          process.stderr.write(`${command}: exit ${code}\n${said}\n`);
        done();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    await this.exited;
  }
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}

/** The part of it that is of the process alone: not pages of files, which the kernel takes back when it needs them. */
export function anonymousBytes(pid: number): number {
  const [, kilobytes] = /RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}

/** CPU time that a process has used, in ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Asks again and again until the answer is not undefined. @throws Error after `timeoutMs`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(2);
  }
}

/** @returns the status of a GET, or undefined when nobody answers. */
export async function httpStatus(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.status;
  } catch {
    return undefined;
  }
}

/** Bytes that a process sent to block devices, as the kernel counts: whole pages. */
export function deviceBytesWritten(pid: number): number {
  const [, bytes] = /^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8")) ?? [];
  return Number(bytes);
}

/** Runs a program of bench/support to its end. @returns what it printed last, as JSON. */
export async function runTool(tool: string, ...args: (string | number)[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, tool),
    ...args.map(String),
  ]);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** A subscriber that is ready; `done` settles with what it prints when everything has come. */
export async function startSink(
  port: number,
  topic: string,
  messages: number,
): Promise<{ done: Promise<{ ms: number; repeated: number; disordered: number }> }> {
  const args = [join(import.meta.dirname, "sink.ts"), port, topic, messages].map(String);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ ms: number; repeated: number; disordered: number }>();
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (said.startsWith("ready")) ready.resolve();
  });
  child.once("exit", (code) => {
    const line = said.trim().split("\n").at(-1) ?? "";
    if (code === 0) ended.resolve(JSON.parse(line));
    else ended.reject(new Error(`the subscriber ended with ${code}`));
  });
  ended.promise.catch(ready.reject);
  await ready.promise;
  return { done: ended.promise };
}

/** The agent as built, on its own data directory. */
export async function startAgent(options: {
  readonly data: string;
  readonly apiPort: number;
  readonly mqttPort: number;
  readonly sets?: readonly string[];
}): Promise<Program> {
  const sets = [
    `api.port=${options.apiPort}`,
    `mqtt.broker.port=${options.mqttPort}`,
    ...(options.sets ?? []),
  ].flatMap((set) => ["--set", set]);
  const agent = new Program(join(root, "bin/agent-mesh"), ["run", "--data", options.data, ...sets]);
  await until("the agent", async () =>
    (await httpStatus(`http://127.0.0.1:${options.apiPort}/readyz`)) === 200 ? true : undefined,
  );
  return agent;
}

/** A Mosquitto of our own. */
export async function startMosquitto(
  directory: string,
  config: string,
  port: number,
): Promise<Program> {
  const file = join(directory, `mosquitto-${port}.conf`);
  writeFileSync(file, `user root\nlistener ${port} 127.0.0.1\nallow_anonymous true\n${config}`);
  const broker = new Program("mosquitto", ["-c", file]);
  await waitForPort(port);
  return broker;
}

/** Waits until somebody listens. */
export async function waitForPort(port: number): Promise<void> {
  const { connect } = await import("node:net");
  await until(
    `port ${port}`,
    () =>
      new Promise<true | undefined>((done) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.destroy();
          done(true);
        });
        socket.on("error", () => done(undefined));
      }),
  );
}
