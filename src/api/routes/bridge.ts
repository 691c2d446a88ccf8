import type { Router } from "../route.ts";
import { bridge } from "../schemas/bridge.ts";

/** The bridge to a cluster. */
export function addBridge({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/bridge",
    operationId: "getBridge",
    tag: "bridge",
    summary: "How the bridge to a cluster is",
    scope: "viewer",
    success: { status: 200, description: "The bridge.", schema: bridge },
    handler: () => context.bridge.status(),
  });
}
