import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";

const TIMEOUT_MS = 10_000;

/** Options of every command that asks a running agent. */
export interface RestOptions {
  readonly data: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: true;
}

/** Adds `--data`, `--url`, `--token-file` and `--json` to a command. */
export function withRestOptions(command: Command): Command {
  return command
    .option("--data <dir>", "data directory of the agent", "./data")
    .option("--url <url>", "address of the agent (default: from run.json in the data directory)")
    .option(
      "--token-file <file>",
      "file that holds the token (default: the environment's AGENT_MESH_TOKEN, else admin.token in the data directory)",
    )
    .option("--json", "print JSON");
}

/** The agent answered with a problem, or not at all; the message says what to do about it. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Talks to a running agent over REST, as its web page does. */
export class RestClient {
  readonly url: string;
  readonly #token: string | undefined;

  private constructor(url: string, token: string | undefined) {
    this.url = url;
    this.#token = token;
  }

  /** Finds the agent's address and a token. @throws RestError `cli.no-agent`, `cli.no-token` */
  static async open(options: RestOptions): Promise<RestClient> {
    const url = options.url ?? (await readRunUrl(options.data));
    if (!URL.canParse(url)) {
      throw new RestError(
        "cli.bad-url",
        `--url ${url} is not a URL; write it like http://127.0.0.1:8080`,
      );
    }
    return new RestClient(url.replace(/\/+$/, ""), await readToken(options));
  }

  /** @returns the JSON document at this path. @throws RestError with the agent's own code */
  get<Document>(path: string): Promise<Document> {
    return this.#ask("GET", path) as Promise<Document>;
  }

  /** @returns the answer's document; undefined where it has none. @throws RestError */
  post<Document>(path: string, body?: unknown): Promise<Document> {
    return this.#ask("POST", path, body) as Promise<Document>;
  }

  /** @throws RestError */
  async delete(path: string): Promise<void> {
    await this.#ask("DELETE", path);
  }

  /** Like `get`, but a 503 is an answer too: what /readyz says while not all is well. */
  getReadiness<Document>(): Promise<Document> {
    return this.#ask("GET", "/readyz", undefined, [503]) as Promise<Document>;
  }

  async #ask(
    method: string,
    path: string,
    body?: unknown,
    alsoFine: readonly number[] = [],
  ): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.url + path, {
        method,
        headers: {
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      throw new RestError(
        "cli.no-answer",
        `no agent answers at ${this.url} (${cause?.code ?? message}); start it with "agent-mesh run", or name another with --data or --url`,
        { cause: error },
      );
    }
    const document = parse(text);
    if (response.ok || alsoFine.includes(response.status)) return document;
    throw problemError(response.status, document, this.url);
  }
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function problemError(status: number, document: unknown, url: string): RestError {
  const problem = (document ?? {}) as { code?: unknown; title?: unknown; detail?: unknown };
  if (typeof problem.code !== "string") {
    return new RestError(
      "cli.not-an-agent",
      `what answers at ${url} is no agent (status ${status}); check --url`,
    );
  }
  return new RestError(
    problem.code,
    `${String(problem.title)}: ${String(problem.detail)} (${problem.code})`,
  );
}

async function readRunUrl(data: string): Promise<string> {
  try {
    const run = JSON.parse(await readFile(join(data, "run.json"), "utf8")) as {
      api?: { url?: string };
    };
    if (typeof run.api?.url === "string") return run.api.url;
  } catch (error) {
    throw new RestError(
      "cli.no-agent",
      `no agent runs with the data directory ${data}; start it with "agent-mesh run --data ${data}", or name another with --data or --url`,
      { cause: error },
    );
  }
  throw new RestError("cli.no-agent", `${join(data, "run.json")} names no api.url; use --url`);
}

async function readToken({ data, tokenFile }: RestOptions): Promise<string | undefined> {
  const environment = process.env["AGENT_MESH_TOKEN"];
  if (tokenFile === undefined && environment !== undefined && environment !== "") {
    return environment.trim();
  }
  const file = tokenFile ?? join(data, "admin.token");
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    const { code } = error as { code?: string };
    throw new RestError(
      "cli.no-token",
      `cannot read the token in ${file} (${code ?? "unreadable"}); name a readable file with --token-file, or set AGENT_MESH_TOKEN`,
      { cause: error },
    );
  }
}
