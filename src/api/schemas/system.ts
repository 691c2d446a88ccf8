import * as Type from "typebox";
import { problem } from "./common.ts";

/** GET /healthz: the process answers. */
export const alive = Type.Object({ alive: Type.Literal(true) }, { $id: "Alive" });

const checks = Type.Array(
  Type.Object({
    name: Type.String(),
    ok: Type.Boolean(),
    detail: Type.Optional(Type.String({ description: "What is wrong and what to do about it." })),
  }),
);

/** GET /readyz, 200. */
export const ready = Type.Object({ ready: Type.Literal(true), checks }, { $id: "Ready" });

/** GET /readyz, 503: a problem that also carries the checks. */
export const notReady = Type.Object(
  { ...problem.properties, ready: Type.Literal(false), checks },
  { $id: "NotReady" },
);

/** GET /v1/config: the effective configuration, secrets redacted. */
export const config = Type.Record(Type.String(), Type.Unknown(), { $id: "Config" });

/** GET /v1/config/schema: JSON Schema of the configuration. */
export const configSchema = Type.Record(Type.String(), Type.Unknown(), { $id: "ConfigSchema" });

/** GET /.well-known/api-catalog (RFC 9727): a linkset (RFC 9264). */
export const apiCatalog = Type.Object(
  {
    linkset: Type.Array(
      Type.Object({
        anchor: Type.String(),
        "service-desc": Type.Array(Type.Object({ href: Type.String(), type: Type.String() })),
        "service-doc": Type.Array(Type.Object({ href: Type.String(), type: Type.String() })),
        status: Type.Array(Type.Object({ href: Type.String(), type: Type.String() })),
      }),
    ),
  },
  { $id: "ApiCatalog" },
);
