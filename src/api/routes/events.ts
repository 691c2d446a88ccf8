import type { FastifyReply } from "fastify";
import * as Type from "typebox";
import type { Timer } from "../../platform/clock.ts";
import type { EventType } from "../../platform/event-sink.ts";
import { type AgentEvent, eventMeanings } from "../../telemetry/event-log.ts";
import { ApiProblem } from "../problem.ts";
import { alreadySent, type Router } from "../route.ts";
import { event } from "../schemas/events.ts";
import { apiHeaders } from "../security-headers.ts";

const HEARTBEAT_MS = 15_000;
/** A listener that lets more than this pile up is dropped; it resumes with Last-Event-ID. */
const UNSENT_BYTES_MAX = 262_144;

const eventsQuery = Type.Object(
  {
    types: Type.Optional(
      Type.String({
        maxLength: 1_024,
        description: `Only these, separated by commas: ${Object.keys(eventMeanings).join(", ")}.`,
      }),
    ),
  },
  { additionalProperties: false },
);

/** Streams of events that are open now. */
export interface EventStreams {
  /** Ends them all, for a stop. */
  end(): void;
}

/** Server-sent events (WHATWG HTML, section 9.2). */
export function addEvents({ add, context }: Router, listenersMax: number): EventStreams {
  const open = new Set<() => void>();
  add({
    method: "GET",
    url: "/v1/events",
    operationId: "streamEvents",
    tag: "events",
    summary: "What happens, as it happens",
    description: [
      "Server-sent events: `id` and `event` are those of the document in `data`. A client that sends",
      "`Last-Event-ID` first gets what it missed, of the newest 1,000; where some of that is no longer kept, an",
      "`events.missed` event comes before. Comments keep the connection alive.",
      "",
      ...Object.entries(eventMeanings).map(([type, meaning]) => `- \`${type}\`: ${meaning}`),
    ].join("\n"),
    scope: "viewer",
    query: eventsQuery,
    headers: { "Last-Event-ID": "Id of the last event that the client has." },
    success: {
      status: 200,
      description: "A stream whose `data:` lines hold documents of this schema.",
      mediaType: "text/event-stream",
      schema: event,
    },
    problems: ["events.too-many-listeners"],
    handler(request, reply) {
      const wanted = parseTypes(request.query.types);
      const resumeAfter = parseLastEventId(request.headers["last-event-id"]);
      if (open.size >= listenersMax) {
        throw new ApiProblem("events.too-many-listeners", undefined, {
          headers: { "retry-after": "30" },
        });
      }
      if (request.method === "HEAD") {
        reply.type("text/event-stream").send();
        return alreadySent;
      }
      const stillAllowed = () => context.tokens.isLive(request.caller?.id ?? "");
      const send = startStream(reply);
      const offer = (happened: AgentEvent) => {
        if (wanted === undefined || wanted.has(happened.type)) send(frame(happened));
      };
      if (resumeAfter !== undefined) {
        const { events, missed } = context.events.since(resumeAfter);
        if (missed) send("event: events.missed\ndata: {}\n\n");
        events.forEach(offer);
      }
      const unsubscribe = context.events.subscribe(offer);
      let timer: Timer;
      const end = () => {
        open.delete(end);
        unsubscribe();
        timer.cancel();
        reply.raw.end();
      };
      const beat = () => {
        // A token may be revoked while its stream is open.
        if (!stillAllowed()) return end();
        send(": still here\n\n");
        timer = context.clock.setTimer("events.heartbeat", HEARTBEAT_MS, beat);
      };
      timer = context.clock.setTimer("events.heartbeat", HEARTBEAT_MS, beat);
      open.add(end);
      reply.raw.once("close", end);
      return alreadySent;
    },
  });
  return {
    end: () => {
      for (const end of open) end();
    },
  };
}

/** Takes the connection from the framework. @returns what writes to it, as long as the listener keeps up */
function startStream(reply: FastifyReply): (text: string) => void {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { ...apiHeaders, "content-type": "text/event-stream; charset=utf-8" });
  // Proxies and browsers show the connection as open only when something came through.
  raw.write("retry: 2000\n: welcome\n\n");
  return (text) => {
    if (raw.writableLength > UNSENT_BYTES_MAX) raw.destroy();
    else if (!raw.writableEnded && !raw.destroyed) raw.write(text);
  };
}

function frame(happened: AgentEvent): string {
  return `id: ${happened.id}\nevent: ${happened.type}\ndata: ${JSON.stringify(happened)}\n\n`;
}

function parseTypes(text: string | undefined): ReadonlySet<EventType> | undefined {
  if (text === undefined) return undefined;
  const types = text.split(",").map((type) => type.trim());
  const unknown = types.find((type) => !Object.hasOwn(eventMeanings, type));
  if (unknown !== undefined) {
    const detail = `query.types: "${unknown.slice(0, 100)}" is no event type; there are: ${Object.keys(eventMeanings).join(", ")}`;
    throw new ApiProblem("request.invalid", detail, {
      members: { errors: [{ parameter: "query.types", detail }] },
    });
  }
  return new Set(types as EventType[]);
}

function parseLastEventId(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined || header === "") return undefined;
  const id = typeof header === "string" && /^\d{1,16}$/.test(header) ? Number(header) : Number.NaN;
  if (Number.isSafeInteger(id)) return id;
  const detail = "header.last-event-id must be the id of an event as it was sent";
  throw new ApiProblem("request.invalid", detail, {
    members: { errors: [{ parameter: "header.last-event-id", detail }] },
  });
}
