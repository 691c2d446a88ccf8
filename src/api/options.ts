import type { Static } from "typebox";
import * as Type from "typebox";

/** Settings under `api` in the configuration. */
export const apiOptions = Type.Object(
  {
    host: Type.String({
      default: "127.0.0.1",
      minLength: 1,
      description: "Address to listen on. `0.0.0.0` or `::` serves the whole network.",
    }),
    port: Type.Integer({
      default: 8080,
      minimum: 0,
      maximum: 65_535,
      description: "TCP port of REST, page and metrics. 0: any free port, written to run.json.",
    }),
    bodyBytesMax: Type.Integer({
      default: 65_536,
      minimum: 1_024,
      maximum: 16_777_216,
      description: "Largest request body that is read.",
    }),
    connectionsMax: Type.Integer({
      default: 128,
      minimum: 4,
      maximum: 10_000,
      description: "TCP connections served at once; more are turned away.",
    }),
    eventListenersMax: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 1_000,
      description: "Listeners to GET /v1/events served at once.",
    }),
    metricsPublic: Type.Boolean({
      default: false,
      description: "Serve /metrics without a token, for scrapers that cannot send one.",
    }),
  },
  { additionalProperties: false, default: {}, description: "REST interface and web page." },
);

/** Validated settings of the REST interface. */
export type ApiOptions = Static<typeof apiOptions>;
