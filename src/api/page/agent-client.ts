import { EventStreamParser, type ServerSentEvent } from "./event-stream.ts";

/** The agent answered with an error (RFC 9457 problem). `status` 401: the token is not good; 403: not enough. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  /** Stable, dotted, for example `auth.scope-missing`. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The agent did not answer. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** What the page needs of the browser; tests hand in their own. */
export interface ClientOptions {
  /** `""` for the page's own origin. */
  readonly baseUrl: string;
  readonly token: string;
  readonly fetch: typeof fetch;
  /** @returns a new value for the Idempotency-Key header. */
  readonly newKey: () => string;
  readonly requestTimeoutMs: number;
  /** The event stream counts as dead when nothing, not even a heartbeat, came for this long. */
  readonly silenceMaxMs: number;
}

interface Problem {
  readonly code?: unknown;
  readonly title?: unknown;
  readonly detail?: unknown;
}

/** Speaks to the agent: JSON over REST, and its event stream. */
export class AgentClient {
  private readonly options: ClientOptions;
  /** From "0" the agent replays what it still remembers, so the feed is not empty at first. */
  private lastEventId = "0";
  /** The agent's wall clock minus this browser's, from the Date header: a device without a battery-backed clock may be years off. */
  clockOffsetMs = 0;

  constructor(options: ClientOptions) {
    this.options = options;
  }

  /** @throws ProblemError, UnreachableError */
  async get<T>(path: string, signal: AbortSignal): Promise<T> {
    const response = await this.send(path, { method: "GET" }, signal);
    return (await this.body(response)) as T;
  }

  /** `/readyz` answers 503 with the same body when something is wrong, and needs no token. */
  async getHealth<T>(signal: AbortSignal): Promise<T> {
    const response = await this.send("/readyz", { method: "GET" }, signal, [503]);
    return (await this.body(response)) as T;
  }

  /** @throws ProblemError, UnreachableError */
  async post(path: string, signal: AbortSignal): Promise<void> {
    const headers = { "idempotency-key": this.options.newKey() };
    await this.send(path, { method: "POST", headers }, signal);
  }

  /** @throws ProblemError, UnreachableError */
  async delete(path: string, signal: AbortSignal): Promise<void> {
    await this.send(path, { method: "DELETE" }, signal);
  }

  /**
   * Follows the agent's events from where an earlier call left off, until the stream ends.
   * @throws ProblemError, UnreachableError (also when the stream breaks or falls silent)
   */
  async follow(onEvent: (event: ServerSentEvent) => void, signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), this.options.silenceMaxMs);
    try {
      const response = await this.options.fetch(`${this.options.baseUrl}/v1/events`, {
        headers: {
          accept: "text/event-stream",
          authorization: `Bearer ${this.options.token}`,
          "last-event-id": this.lastEventId,
        },
        cache: "no-store",
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!response.ok) throw await problemOf(response);
      const parser = new EventStreamParser();
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), this.options.silenceMaxMs);
        for (const event of parser.push(piece.value)) {
          if (event.id !== "") this.lastEventId = event.id;
          onEvent(event);
        }
      }
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      const reason = silence.signal.aborted
        ? "its event stream fell silent"
        : "its event stream broke";
      throw new UnreachableError(reason, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  private async send(
    path: string,
    init: { method: string; headers?: Record<string, string> },
    signal: AbortSignal,
    alsoFine: readonly number[] = [],
  ): Promise<Response> {
    let response: Response;
    try {
      response = await this.options.fetch(`${this.options.baseUrl}${path}`, {
        method: init.method,
        headers: {
          accept: "application/json, application/problem+json",
          authorization: `Bearer ${this.options.token}`,
          ...init.headers,
        },
        cache: "no-store",
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.options.requestTimeoutMs)]),
      });
    } catch (error) {
      const timedOut = error instanceof Error && error.name === "TimeoutError";
      const reason = timedOut ? "it took too long to answer" : "it cannot be reached";
      throw new UnreachableError(reason, { cause: error });
    }
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.noteClock(date - Date.now());
    if (!response.ok && !alsoFine.includes(response.status)) throw await problemOf(response);
    return response;
  }

  /** The header is cut to whole seconds, so the largest of near-equal observations is the nearest. */
  private noteClock(offsetMs: number): void {
    const near = Math.abs(offsetMs - this.clockOffsetMs) < 1500;
    this.clockOffsetMs = near ? Math.max(offsetMs, this.clockOffsetMs) : offsetMs;
  }

  private async body(response: Response): Promise<unknown> {
    try {
      return await response.json();
    } catch (error) {
      throw new UnreachableError("its answer broke off", { cause: error });
    }
  }
}

/** A gateway in front of the agent may answer with HTML: then the status line is all we know. */
async function problemOf(response: Response): Promise<ProblemError> {
  let problem: Problem = {};
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null) problem = body;
  } catch {
    problem = {};
  }
  const code = typeof problem.code === "string" ? problem.code : `http.${response.status}`;
  const words = [problem.detail, problem.title].find((part) => typeof part === "string");
  return new ProblemError(
    response.status,
    code,
    typeof words === "string"
      ? words
      : `The agent answered ${response.status} ${response.statusText}`,
  );
}
