import type { Router } from "../route.ts";
import { relay } from "../schemas/relay.ts";

/** Relaying between neighbours. */
export function addRelay({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/relay",
    operationId: "getRelay",
    tag: "mesh",
    summary: "Whom this agent relays for, and who relays for it",
    scope: "viewer",
    success: { status: 200, description: "Guests and hosts.", schema: relay },
    handler: () => context.relay.status(),
  });
}
