import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifySchema,
  type FastifyServerOptions,
} from "fastify";
import type { ApiContext } from "./context.ts";
import type { ApiOptions } from "./options.ts";
import { ApiProblem, pathOf, problemDocument, problemMediaType, sendProblem } from "./problem.ts";
import { isProblemCode, type ProblemCode } from "./problem-catalogue.ts";
import { type AnySpec, createRouter } from "./route.ts";
import { addAccess } from "./routes/access.ts";
import { addBridge } from "./routes/bridge.ts";
import { addConfig } from "./routes/config.ts";
import { addConsensus } from "./routes/consensus.ts";
import { addDevice, addPower, addResources } from "./routes/device.ts";
import { addEvents } from "./routes/events.ts";
import { addLearning } from "./routes/learning.ts";
import { addLearningServing } from "./routes/learning-serving.ts";
import { addFleet, addMesh } from "./routes/mesh.ts";
import { addDeadLetters, addQueue } from "./routes/queue.ts";
import { addReadings } from "./routes/readings.ts";
import { addRelay } from "./routes/relay.ts";
import { addRoles } from "./routes/roles.ts";
import { addSystem } from "./routes/system.ts";
import { addTasks } from "./routes/tasks.ts";
import { addTokens } from "./routes/tokens.ts";
import { addTrails } from "./routes/trails.ts";
import { addUplinks } from "./routes/uplinks.ts";
import { apiHeaders } from "./security-headers.ts";
import { sendStaticFile } from "./static-files.ts";
import { lazyValidatorCompiler } from "./validation.ts";

type CompilersFactory = NonNullable<
  NonNullable<FastifyServerOptions["schemaController"]>["compilersFactory"]
>;
type ValidatorFactory = NonNullable<CompilersFactory["buildValidator"]>;

const REQUEST_TIMEOUT_MS = 30_000;
/** How long a stop waits for answers under way before it cuts connections. */
const STOP_PATIENCE_MS = 2_000;

/** The REST interface, web page and metrics of one agent. */
export interface ApiServer {
  /** Begins to serve. @throws Error naming the setting to change when the address cannot be had */
  listen(): Promise<{ readonly url: string }>;
  /** Ends event streams, waits two seconds at most for answers under way, and closes. Idempotent. */
  close(): Promise<void>;
}

/** @returns a server with every route in place, not yet listening */
export async function createApi(context: ApiContext, options: ApiOptions): Promise<ApiServer> {
  const { app, streams } = await buildApp(context, options);
  return {
    async listen() {
      try {
        await app.listen({ host: options.host, port: options.port });
      } catch (error) {
        throw explainListenError(error, options);
      }
      return { url: urlOf(app, options) };
    },
    async close() {
      streams.end();
      const patience = context.clock.setTimer("api.stop", STOP_PATIENCE_MS, () =>
        app.server.closeAllConnections(),
      );
      await app.close();
      patience.cancel();
    },
  };
}

/**
 * @param document registers what collects the routes for the OpenAPI document; absent in the running agent
 * @returns the application and its open event streams
 */
export async function buildApp(
  context: ApiContext,
  options: ApiOptions,
  document?: {
    collect: (app: FastifyInstance) => Promise<void>;
    describe: (spec: AnySpec) => FastifySchema;
  },
) {
  const app: FastifyInstance = Fastify({
    bodyLimit: options.bodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 0,
    // A stop lets answers under way finish; new connections are refused by then.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 },
    // Answers are checked against their schemas in tests; at run time compiling 40 serializers would only
    // delay the start, and JSON.stringify is as fast for documents of this size.
    schemaController: {
      compilersFactory: {
        // The declared type is Ajv's own; Fastify calls it with what a validator compiler gets.
        buildValidator: (() => lazyValidatorCompiler) as unknown as ValidatorFactory,
        buildSerializer: () => () => JSON.stringify,
      },
    },
    frameworkErrors: (error, request, reply) => {
      reply.headers(apiHeaders);
      sendProblem(reply, toProblem(error, context), pathOf(request.url));
    },
    clientErrorHandler(error, socket) {
      if (error.code === "ECONNRESET" || socket.destroyed) return;
      socket.end(rawProblem(error.code));
    },
  });
  app.server.maxConnections = options.connectionsMax;
  app.decorateRequest("caller", null);
  app.addHook("onRequest", (_request, reply, done) => {
    reply.headers(apiHeaders);
    done();
  });
  acceptEmptyJson(app);
  await document?.collect(app);

  const methods = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const name of [method].flat()) known.add(name);
    methods.set(url, known);
  });
  app.addHook("onRequest", (request, reply, done) => {
    // Said before the body is looked at, or what is wrong with a body that nobody wants would be said instead.
    if (!request.is404 || isReading(request.method)) return done();
    const path = pathOf(request.url);
    sendProblem(reply, nothingHere(path, request.method, methods), path);
  });
  const router = createRouter(app, context, document?.describe);
  addSystem(router, options);
  addDevice(router);
  addResources(router);
  addPower(router);
  addReadings(router);
  addQueue(router);
  addDeadLetters(router);
  addUplinks(router);
  addMesh(router);
  addFleet(router);
  addAccess(router);
  addRelay(router);
  addBridge(router);
  addRoles(router);
  addTasks(router);
  addTrails(router);
  addConsensus(router);
  addLearning(router);
  addLearningServing(router);
  addConfig(router);
  addTokens(router);
  const streams = addEvents(router, options.eventListenersMax);

  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendProblem(reply, toProblem(error, context), pathOf(request.url)),
  );
  app.setNotFoundHandler(async (request, reply) => {
    const path = pathOf(request.url);
    if (isReading(request.method) && (await sendStaticFile(context, request, reply, path)))
      return reply;
    return sendProblem(reply, nothingHere(path, request.method, methods), path);
  });
  return { app, streams, methods };
}

/** POST without a body is common even among clients that name a content type; everything else is JSON. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "string" },
    (request, body: string, done) => {
      if (body === "") done(null, undefined);
      else void parse(request, body, done);
    },
  );
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

function nothingHere(
  path: string,
  method: string,
  methods: ReadonlyMap<string, ReadonlySet<string>>,
): ApiProblem {
  if (path === "/") return new ApiProblem("page.missing");
  if (path.startsWith("/docs")) return new ApiProblem("docs.missing");
  const segments = path.split("/");
  for (const [pattern, allowed] of methods) {
    const expected = pattern.split("/");
    const fits =
      expected.length === segments.length &&
      expected.every((part, index) => part.startsWith(":") || part === segments[index]);
    if (fits && !allowed.has(method)) {
      const allow = [...allowed].join(", ");
      const detail = `${method} is not possible here; use ${allow}.`;
      return new ApiProblem("route.method", detail, { headers: { allow } });
    }
  }
  return new ApiProblem("route.not-found");
}

const frameworkCodes: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "request.too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "request.media-type",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "request.malformed",
  FST_ERR_CTP_INVALID_JSON_BODY: "request.malformed",
  FST_ERR_BAD_URL: "request.malformed",
  FST_ERR_MAX_PARAM_LENGTH: "request.malformed",
  HPE_HEADER_OVERFLOW: "request.headers-too-large",
  ERR_HTTP_REQUEST_TIMEOUT: "request.timeout",
};

/** What went wrong, as a problem; what nobody expected is logged and not told. */
function toProblem(error: Error & { code?: string; statusCode?: number }, context: ApiContext) {
  if (error instanceof ApiProblem) return error;
  const framework = frameworkCodes[error.code ?? ""];
  if (framework !== undefined) {
    return new ApiProblem(framework, framework === "request.malformed" ? error.message : undefined);
  }
  // Rooms throw errors with codes of the same catalogue: `outbox.full`, `store.failed`, …
  if (isProblemCode(error.code)) return new ApiProblem(error.code, error.message);
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new ApiProblem("request.malformed", error.message);
  }
  context.logger.error("a request failed", { error });
  return new ApiProblem("internal.failed");
}

/** An answer for requests that never became one: the parser gave up. */
function rawProblem(code: string | undefined): string {
  const problem = new ApiProblem(frameworkCodes[code ?? ""] ?? "request.malformed");
  const body = problemDocument(problem);
  const status: number = JSON.parse(body).status;
  return [
    `HTTP/1.1 ${status} ${status === 408 ? "Request Timeout" : status === 431 ? "Request Header Fields Too Large" : "Bad Request"}`,
    `content-type: ${problemMediaType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body,
  ].join("\r\n");
}

function urlOf(app: FastifyInstance, options: ApiOptions): string {
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  // What listens everywhere is reached here by the loopback address.
  const host = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[options.host] ?? options.host;
  return `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

function explainListenError(error: unknown, { host, port }: ApiOptions): Error {
  const { code, message } = error as { code?: string; message: string };
  const known: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken by another program; set api.port (or --set api.port=0 for any free port)`,
    EACCES: `port ${port} needs more rights than the agent has; set api.port to 1024 or above`,
    EADDRNOTAVAIL: `this device has no address ${host}; set api.host (127.0.0.1 for this device only, 0.0.0.0 for the network)`,
    ENOTFOUND: `the name ${host} is not known; set api.host to an address of this device`,
  };
  return new Error(known[code ?? ""] ?? `cannot serve at api.host ${host}: ${message}`, {
    cause: error,
  });
}
