import Fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from "fastify";
import type { Logger } from "../../platform/logger.ts";
import { BODY_BYTES_MAX } from "./body.ts";
import { addManaging } from "./managing.ts";
import type { ReceiverHttpParts } from "./parts.ts";
import {
  isReceiverProblemCode,
  notNow,
  ReceiverProblem,
  type ReceiverProblemCode,
  sendReceiverProblem,
} from "./problem.ts";
import { addReading } from "./reading-back.ts";
import { addTaking } from "./taking.ts";
import { WireBytes } from "./wire-bytes.ts";

const REQUEST_TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 2_048;
/** Bodies that are in memory at once. */
const BODIES_MAX = 32;

/** PEM texts for HTTPS; with `ca` every client has to show a certificate that this authority signed. */
export interface ReceiverTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** The HTTP interface of a receiver. */
export interface ReceiverHttp {
  /** @returns the address @throws Error naming `--listen` when it can not be had */
  listen(): Promise<string>;
  readonly bytesReceived: number;
  /** Lets answers under way finish. Idempotent. */
  close(): Promise<void>;
}

/** @returns a server that does not listen yet */
export function createReceiverHttp(
  parts: ReceiverHttpParts,
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls?: ReceiverTls },
): ReceiverHttp {
  const app = build(parts, tls);
  const wire = new WireBytes(app.server);
  return {
    async listen() {
      try {
        await app.listen({ host, port });
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        const why = code === "EADDRINUSE" ? `port ${port} is taken by another program` : message;
        throw new Error(`--listen ${host}:${port}: ${why}; choose another, or port 0 for any`, {
          cause: error,
        });
      }
      const address = app.server.address();
      const taken = typeof address === "object" && address !== null ? address.port : port;
      const shown = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[host] ?? host;
      const name = shown.includes(":") && !shown.startsWith("[") ? `[${shown}]` : shown;
      return `${tls === undefined ? "http" : "https"}://${name}:${taken}`;
    },
    get bytesReceived() {
      return wire.total;
    },
    async close() {
      await app.close();
    },
  };
}

function build(parts: ReceiverHttpParts, tls: ReceiverTls | undefined): FastifyInstance {
  const options = {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    forceCloseConnections: "idle" as const,
    routerOptions: { maxParamLength: 128 },
  };
  const app = (
    tls === undefined
      ? Fastify(options)
      : Fastify({
          ...options,
          https: { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: true },
        })
  ) as FastifyInstance;
  app.server.maxConnections = CONNECTIONS_MAX;
  app.decorateRequest("bearer", null);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  limitBodies(app);
  app.addHook("onSend", (_request, reply, _payload, done) => {
    reply.headers({ "x-content-type-options": "nosniff", "cache-control": "no-store" });
    done();
  });
  addManaging(app, parts);
  addTaking(app, parts);
  addReading(app, parts);
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    sendReceiverProblem(reply, toProblem(error, parts.logger)),
  );
  app.setNotFoundHandler((request, reply) =>
    sendReceiverProblem(
      reply,
      new ReceiverProblem("route.not-found", `Nothing is at ${request.method} here.`),
    ),
  );
  return app;
}

/** Decided before a body is read: memory is bounded by bodies, not by connections. */
function limitBodies(app: FastifyInstance): void {
  const held = new Set<FastifyRequest>();
  app.addHook("onRequest", (request, _reply, done) => {
    if (request.method !== "POST") return done();
    if (held.size >= BODIES_MAX)
      return done(notNow("receiver.busy", "Many senders are at it; come again in a second."));
    held.add(request);
    request.raw.once("close", () => held.delete(request));
    done();
  });
  app.addHook("onResponse", (request, _reply, done) => {
    held.delete(request);
    done();
  });
}

const frameworkCodes: Readonly<Record<string, ReceiverProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "request.too-large",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "request.malformed",
  ERR_HTTP_REQUEST_TIMEOUT: "request.timeout",
};

function toProblem(error: Error & { code?: string; statusCode?: number }, logger: Logger) {
  if (error instanceof ReceiverProblem) return error;
  const { code, message, statusCode } = error;
  const framework = frameworkCodes[code ?? ""];
  if (framework === "request.too-large")
    return new ReceiverProblem(framework, `A body may have ${BODY_BYTES_MAX} bytes; send less.`);
  if (framework !== undefined) return new ReceiverProblem(framework, message);
  if (code?.startsWith("store.") === true) return notNow("store.failed", message);
  if (isReceiverProblemCode(code)) return new ReceiverProblem(code, message);
  if (statusCode !== undefined && statusCode < 500)
    return new ReceiverProblem("request.malformed", message);
  logger.error("a request failed", { reason: message });
  return new ReceiverProblem("internal.failed", "The receiver's log says more.");
}
