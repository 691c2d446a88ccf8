import { type ChildProcess, fork } from "node:child_process";

/** Bytes of a request and of its answer. */
export const REQUEST_BYTES = 100;

/**
 * A young generation as small as the agent has it. With a larger one so many encrypted pieces gather that nobody needs
 * any more that all memory is gone through to find them, which takes as long as encrypting (docs/decisions/memory.md).
 */
const YOUNG = ["--max-semi-space-size=2"];

/** One end of a link whose speed is measured, in a process of its own. */
export interface MeshEnd {
  /** Listens. @returns addresses to dial */
  listen(): Promise<readonly string[]>;
  connect(addresses: readonly string[]): Promise<void>;
  /** Asks so often, with so many under way at once, each of 100 bytes and answered with as many. */
  requests(count: number, inFlight: number): Promise<void>;
  /**
   * Sends so many bytes and waits until the other side says that it has them.
   * @param digest whether the other side makes sure of them by SHA-256
   */
  bulk(bytes: number, digest: boolean): Promise<void>;
}

type Command =
  | { readonly kind: "listen" }
  | { readonly kind: "connect"; readonly addresses: readonly string[] }
  | { readonly kind: "requests"; readonly count: number; readonly inFlight: number }
  | { readonly kind: "bulk"; readonly bytes: number; readonly digest: boolean };

interface Reply {
  readonly addresses?: readonly string[];
  readonly ms?: number;
  readonly error?: string;
}

/** The child's part: does what the parent says until that goes away. */
export function obey(end: MeshEnd): void {
  process.on("message", (command: Command) => {
    perform(end, command).then(
      (reply) => process.send?.(reply),
      (error: Error) => process.send?.({ error: error.stack ?? error.message }),
    );
  });
  process.on("disconnect", () => process.exit());
}

async function perform(end: MeshEnd, command: Command): Promise<Reply> {
  if (command.kind === "listen") return { addresses: await end.listen() };
  const startedMs = performance.now();
  if (command.kind === "connect") await end.connect(command.addresses);
  else if (command.kind === "requests") await end.requests(command.count, command.inFlight);
  else await end.bulk(command.bytes, command.digest);
  return { ms: performance.now() - startedMs };
}

/** Two processes with a link between them. */
export class MeshPair {
  readonly #near: ChildProcess;
  readonly #far: ChildProcess;

  private constructor(program: string) {
    this.#near = fork(program, { execArgv: YOUNG });
    this.#far = fork(program, { execArgv: YOUNG });
  }

  /** @param program calls {@link obey} */
  static async start(program: string): Promise<MeshPair> {
    const pair = new MeshPair(program);
    const { addresses = [] } = await tell(pair.#far, { kind: "listen" });
    await tell(pair.#near, { kind: "connect", addresses });
    return pair;
  }

  async requestsPerSecond(count: number, inFlight: number): Promise<number> {
    const { ms = Number.NaN } = await tell(this.#near, { kind: "requests", count, inFlight });
    return (count * 1_000) / ms;
  }

  async megabytesPerSecond(bytes: number, digest = true): Promise<number> {
    const { ms = Number.NaN } = await tell(this.#near, { kind: "bulk", bytes, digest });
    return bytes / 1_000 / ms;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [this.#near, this.#far].map(
        (child) =>
          new Promise<void>((resolve) => {
            child.once("exit", () => resolve());
            if (child.connected) child.disconnect();
            else resolve();
          }),
      ),
    );
  }
}

function tell(child: ChildProcess, command: Command): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const exited = (code: number | null): void => reject(new Error(`a peer ended with ${code}`));
    child.once("exit", exited);
    child.once("message", (reply: Reply) => {
      child.off("exit", exited);
      if (reply.error === undefined) resolve(reply);
      else reject(new Error(reply.error));
    });
    child.send(command);
  });
}
