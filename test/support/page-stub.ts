import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { answersOf, historyOf, type StubState } from "./page-stub-data.ts";

/** The token that the stub takes; any other is refused with 401. */
export const STUB_TOKEN = "am_stub_0123456789abcdef";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const LEARNING_STATES: Readonly<Record<string, StubState["learningState"]>> = {
  pause: "paused",
  resume: "running",
  stop: "stopped",
};

/** An agent as the page sees it: serves the built page, and moving figures made of `state`. */
export interface PageStub {
  readonly url: string;
  readonly port: number;
  /** May be changed at any time; the next answer shows it. */
  readonly state: StubState;
  /** Requests that changed something: `POST /v1/queue/pause`. */
  readonly deeds: string[];
  /** Sends one event to every listener. */
  emit(type: string, data: Record<string, unknown>): void;
  /** Ends the server and cuts all connections. */
  stop(): Promise<void>;
}

/** @param port 0 for any; a given one to come back where a stopped stub was. */
export async function startPageStub(options: {
  pageDirectory: string;
  state: StubState;
  port?: number;
  sampleEveryMs?: number;
}): Promise<PageStub> {
  const { state } = options;
  const deeds: string[] = [];
  const listeners = new Set<ServerResponse>();
  const startedAtMs = Date.now();
  const frames: { id: number; text: string }[] = [];

  function emit(type: string, data: Record<string, unknown>): void {
    const id = (startedAtMs + frames.length) * 1000;
    const event = { id, type, atMs: Date.now(), data };
    const text = `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
    frames.push({ id, text });
    for (const listener of listeners) listener.write(text);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://stub");
    const path = url.pathname;
    if (!path.startsWith("/v1/") && path !== "/readyz") {
      await serveFile(options.pageDirectory, path, response);
      return;
    }
    if (path !== "/readyz" && request.headers.authorization !== `Bearer ${STUB_TOKEN}`) {
      const detail = "This token is not known to the agent. Create one: agent-mesh token create.";
      sendProblem(response, 401, "auth.token-unknown", detail);
      return;
    }
    if (request.method !== "GET") {
      deeds.push(`${request.method} ${path}`);
      if (state.scope === "viewer") {
        sendProblem(response, 403, "auth.scope-missing", "This needs the scope operator.");
        return;
      }
      if (path.startsWith("/v1/learning/tasks/")) {
        state.learningState = LEARNING_STATES[path.split("/").at(-1) ?? ""] ?? state.learningState;
        send(response, 200, {});
        return;
      }
      if (path.endsWith("/pause")) state.paused = true;
      if (path.endsWith("/resume")) state.paused = false;
      if (path.startsWith("/v1/queue/dead-letters/")) state.deadLetters -= 1;
      send(response, 200, { paused: state.paused, updates: state.updates, bytes: 0 });
      return;
    }
    if (path === "/v1/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const seen = Number(request.headers["last-event-id"]);
      const missed = frames.filter(({ id }) => id > seen).map(({ text }) => text);
      response.write(`: hello\n\nevent: events.missed\ndata: {}\n\n${missed.join("")}`);
      listeners.add(response);
      response.on("close", () => listeners.delete(response));
      return;
    }
    if (path === "/v1/resources/history") {
      send(response, 200, { items: historyOf(state) });
      return;
    }
    const body = answersOf(state, url.searchParams)[path];
    if (body === undefined) sendProblem(response, 404, "route.unknown", `There is no ${path}.`);
    else send(response, path === "/readyz" && state.failing !== undefined ? 503 : 200, body);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sampling = setInterval(() => {
    state.tick += 1;
    emit("resources.sampled", { sequence: state.tick });
  }, options.sampleEveryMs ?? 1000);

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    state,
    deeds,
    emit,
    async stop() {
      clearInterval(sampling);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serveFile(directory: string, path: string, response: ServerResponse): Promise<void> {
  const name = path === "/" ? "index.html" : path.slice(1).replaceAll("..", "");
  try {
    const body = await readFile(join(directory, name));
    response.writeHead(200, {
      "content-type": TYPES[extname(name)] ?? "application/octet-stream",
      "content-security-policy":
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
    response.end(body);
  } catch {
    sendProblem(response, 404, "route.unknown", `There is no ${path}.`);
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function sendProblem(response: ServerResponse, status: number, code: string, detail: string): void {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", title: code, status, code, detail }));
}
