import { Agent, type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Address, describeDialError, dial, wireBytesOf } from "../wire/dial.ts";
import type { Answer } from "./answer.ts";

/** How a {@link Poster} reaches its receiver. */
export interface PosterOptions {
  readonly url: string;
  readonly address: Address;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly connectionsMax: number;
}

/** Of an answer, so many bytes are read. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** What a connection that the receiver had closed while it was idle fails with. */
const STALE = new Set(["ECONNRESET", "EPIPE"]);

/**
 * Posts to one receiver over connections that are kept open. Every connection is dialled here, so that TLS
 * settings, messages and the count of bytes are those of the other uplinks.
 */
export class Poster {
  readonly #options: PosterOptions;
  readonly #agent: DialAgent;
  readonly #aborted = new AbortController();

  constructor(options: PosterOptions) {
    this.#options = options;
    this.#agent = new DialAgent(options.address, options.connectionsMax);
  }

  get wireBytes(): number {
    return this.#agent.wireBytes;
  }

  /** Opens the first connection. @throws Error in words when the receiver can not be reached. */
  open(): Promise<void> {
    const { connectTimeoutMs, address, url } = this.#options;
    const socket = this.#agent.dial();
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer);
        // In this order: a TLS socket that is destroyed may say at once that it is closed.
        reject(error);
        socket.destroy();
      };
      const timer = setTimeout(
        () => fail(new Error(`no connection within ${connectTimeoutMs} ms`)),
        connectTimeoutMs,
      );
      this.#aborted.signal.addEventListener("abort", () => fail(new Error("hung up")));
      socket.once(address.secure ? "secureConnect" : "connect", () => {
        clearTimeout(timer);
        this.#agent.spare = socket;
        resolve();
      });
      socket.once("error", (error) => fail(new Error(describeDialError(error, url, "receiver"))));
      socket.once("close", () => fail(new Error("connection closed by the receiver")));
    });
  }

  /** @throws Error in words when no whole answer came in time. */
  async post(
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
  ): Promise<Answer> {
    try {
      return await this.#attempt(path, headers, body);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      // Nothing is known of the receiver yet: the connection had ended before this request.
      return this.#attempt(path, headers, body);
    }
  }

  /** Ends all connections at once; posts under way fail. */
  close(): void {
    this.#aborted.abort();
    this.#agent.end();
  }

  #attempt(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    const { url, timeoutMs, address } = this.#options;
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        method: "POST",
        host: address.host,
        port: address.port,
        path,
        headers: { ...headers, host: new URL(url).host, "content-length": body.length },
        signal: this.#aborted.signal,
      });
      const timer = setTimeout(() => {
        reject(new Error(`no answer within ${timeoutMs} ms (timeoutMs)`));
        outgoing.destroy();
      }, timeoutMs);
      const fail = (error: Error & { readonly code?: string }): void => {
        clearTimeout(timer);
        const stale = outgoing.reusedSocket && STALE.has(error.code ?? "");
        reject(
          stale ? new StaleConnection() : new Error(describeDialError(error, url, "receiver")),
        );
      };
      outgoing.once("error", fail);
      outgoing.once("response", (response) => {
        // From here on the receiver has seen it: a break is a break.
        outgoing.off("error", fail);
        outgoing.on("error", () => undefined);
        readAnswer(response)
          .then(resolve, reject)
          .finally(() => clearTimeout(timer));
      });
      outgoing.end(body);
    });
  }
}

class StaleConnection extends Error {}

/** Keeps connections for reuse, and lets {@link dial} make them. */
class DialAgent extends Agent {
  readonly #address: Address;
  readonly #open = new Set<Socket>();
  #pastBytes = 0;
  /** A connection that stands and has not been used yet. */
  spare: Socket | undefined;

  constructor(address: Address, connectionsMax: number) {
    super({ keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax });
    this.#address = address;
  }

  get wireBytes(): number {
    let sum = this.#pastBytes;
    for (const socket of this.#open) sum += wireBytesOf(socket);
    return sum;
  }

  dial(): Socket {
    const socket = dial(this.#address);
    socket.setNoDelay(true);
    this.#open.add(socket);
    // A connection in reserve that breaks is replaced when it is wanted.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#open.delete(socket);
      this.#pastBytes += wireBytesOf(socket);
    });
    return socket;
  }

  override createConnection(): Duplex {
    const { spare } = this;
    this.spare = undefined;
    return spare !== undefined && !spare.destroyed ? spare : this.dial();
  }

  end(): void {
    this.destroy();
    for (const socket of this.#open) socket.destroy();
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let truncated = false;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      truncated = true;
      break;
    }
    chunks.push(chunk);
  }
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : value,
    ]),
  );
  return { status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks), truncated };
}
