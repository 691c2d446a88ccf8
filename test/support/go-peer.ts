import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Test } from "tap";
import { until } from "./agent-process.ts";

/** What identify brought, and how the link is made. */
export interface GoLink {
  readonly peerId: string;
  readonly agentVersion: string;
  readonly protocols: readonly string[];
  readonly transport: string;
  readonly security: string;
  readonly muxer: string;
}

/** A message that came on a topic; the payload is in base64, as all bytes are. */
export interface GoMessage {
  readonly topic: string;
  readonly from: string;
  readonly signed: boolean;
  readonly epoch: number;
  readonly sequence: number;
  readonly payload: string;
}

/** Content that came in bulk. */
export interface GoBulk {
  readonly name: string;
  readonly size: number;
  readonly offset: number;
  readonly right: boolean;
}

/** Words of {@link GoPeer.do}; `payload` is in base64. See `command` in go-peer/main.go. */
interface GoCommand {
  readonly address?: string;
  readonly peer?: string;
  readonly protocol?: string;
  readonly topic?: string;
  readonly name?: string;
  readonly key?: string;
  readonly payload?: string;
  readonly size?: number;
  readonly strings?: readonly string[];
}

/** How a peer is started. */
interface GoPeerOptions {
  readonly listen?: readonly string[];
  readonly security?: "noise" | "tls" | "noise,tls";
  readonly networkKeyFile?: string;
}

interface Line {
  readonly id?: number;
  readonly event?: string;
  readonly result?: unknown;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A go-libp2p node as a process of its own. */
export class GoPeer {
  id = "";
  addresses: readonly string[] = [];
  readonly messages: GoMessage[] = [];
  readonly bulk: GoBulk[] = [];
  /** What went wrong there without anybody having asked. */
  readonly errors: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #lastId = 0;
  #said = "";

  private constructor(program: string, options: GoPeerOptions) {
    const { listen = [], security = "noise,tls", networkKeyFile } = options;
    const words = ["-listen", listen.join(","), "-security", security];
    if (networkKeyFile !== undefined) words.push("-network-key", networkKeyFile);
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4_000);
    });
    // It is told by the end of the process.
    child.stdin.on("error", () => undefined);
    createInterface(child.stdout).on("line", (text) => this.#take(JSON.parse(text) as Line));
    this.#ended = new Promise((resolve) => {
      child.once("error", () => resolve());
      child.once("close", () => {
        const error = new Error(`the Go peer ended: ${this.#said}`);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** Starts a peer and waits until it listens. The test's end ends it. */
  static async start(t: Test, program: string, options: GoPeerOptions = {}): Promise<GoPeer> {
    const peer = new GoPeer(program, options);
    t.teardown(() => peer.stop());
    await until("the Go peer to be ready", () => {
      if (peer.#child.exitCode !== null) throw new Error(`the Go peer ended: ${peer.#said}`);
      return peer.id !== "";
    });
    return peer;
  }

  /** @returns its address of one kind, such as `/quic-v1/` */
  address(part: string): string {
    const address = this.addresses.find((each) => each.includes(part));
    if (address === undefined) throw new Error(`the Go peer has no ${part} address`);
    return address;
  }

  /** Has it do something. @throws Error with what it said when it could not */
  do<Result>(what: string, command: GoCommand = {}): Promise<Result> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as Result), reject });
      this.#child.stdin?.write(`${JSON.stringify({ ...command, id, do: what })}\n`);
    });
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #take({ id, event, result, error }: Line): void {
    if (event === "ready") {
      const self = result as { peerId: string; addresses: string[] };
      this.addresses = self.addresses;
      this.id = self.peerId;
    } else if (event === "message") this.messages.push(result as GoMessage);
    else if (event === "bulk") this.bulk.push(result as GoBulk);
    else if (event === "error") this.errors.push(error ?? "");
    else if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    }
  }
}
