import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Test } from "tap";

/** One line of a batch, as it came. */
export interface Line {
  readonly id: string;
  readonly stream: string;
  readonly sequence: number;
  readonly payload?: unknown;
}

/** A batch as it came. */
export interface Batch {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly lines: readonly Line[];
  readonly atMs: number;
}

/** What to answer; `hang` never does, `cut` ends the connection without a word, `drop` takes it and then cuts. */
export type Reply =
  | "hang"
  | "cut"
  | "drop"
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    };

const decompress = { gzip: gunzipSync, zstd: zstdDecompressSync };

/** A web server that takes batches, as a receiver may be: well, busy, hanging or cutting. */
export class BatchReceiver {
  /** Every batch that came, whatever was answered. */
  readonly batches: Batch[] = [];
  /** Ids of what was accepted, in order, repeats included. */
  readonly accepted: string[] = [];
  reply: (batch: Batch) => Reply = () => ({ status: 204 });
  marks: Reply = { status: 404 };
  readonly questions: unknown[] = [];
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  connections = 0;
  #port = 0;

  static async start(t: Test): Promise<BatchReceiver> {
    const receiver = new BatchReceiver();
    await receiver.open();
    t.teardown(() => receiver.close());
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/in`;
  }

  /** Listens, on the port that it had before. */
  async open(): Promise<void> {
    const server = createServer((request, response) => void this.#take(request, response));
    server.on("connection", (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Is gone, with all connections. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  /** Ends every connection, as servers do with those that are idle. */
  dropIdle(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const path = request.url ?? "";
    if (path.endsWith("/marks")) {
      this.questions.push(JSON.parse(body.toString()));
      this.#answer(response, this.marks);
      return;
    }
    const encoding = request.headers["content-encoding"];
    const plain =
      encoding === undefined ? body : decompress[encoding as keyof typeof decompress](body);
    const lines = plain
      .toString()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line);
    const batch = { path, headers: request.headers, lines, atMs: performance.now() };
    this.batches.push(batch);
    const reply = this.reply(batch);
    const taken = reply === "drop" || (typeof reply === "object" && reply.status < 300);
    if (taken) {
      const refused = refusedIn(reply);
      for (const { id } of lines) if (!refused.has(id)) this.accepted.push(id);
    }
    this.#answer(response, reply);
  }

  #answer(response: ServerResponse, reply: Reply): void {
    if (reply === "hang") return;
    if (reply === "cut" || reply === "drop") {
      response.socket?.destroy();
      return;
    }
    const { status, headers = {}, body } = reply;
    const type = typeof body === "string" ? "text/plain" : "application/json";
    response.writeHead(status, {
      ...(body === undefined ? {} : { "content-type": type }),
      ...headers,
    });
    response.end(typeof body === "object" ? JSON.stringify(body) : body);
  }
}

function refusedIn(reply: Reply): ReadonlySet<string> {
  const body = typeof reply === "object" ? reply.body : undefined;
  const { refused = [] } = (body ?? {}) as { refused?: readonly { id: string }[] };
  return new Set(refused.map(({ id }) => id));
}
