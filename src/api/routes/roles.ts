import type { Router } from "../route.ts";
import { roles } from "../schemas/roles.ts";

/** Who has which role in the fleet. */
export function addRoles({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/roles",
    operationId: "getRoles",
    tag: "roles",
    summary: "Who has which role in the fleet, and why",
    description: "As this agent knows it; after a while every agent of a partition knows the same.",
    scope: "viewer",
    success: { status: 200, description: "The roles.", schema: roles },
    handler: () => context.roles.status(),
  });
}
