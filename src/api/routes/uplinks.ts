import { pageOf, plainListQuery } from "../cursor.ts";
import type { Router } from "../route.ts";
import { uplinks } from "../schemas/uplinks.ts";

/** The roads out. */
export function addUplinks({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/uplinks",
    operationId: "listUplinks",
    tag: "uplinks",
    summary: "The uplinks and how they fare",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "The uplinks, most preferred first.", schema: uplinks },
    problems: ["request.cursor"],
    handler: ({ query }) => ({
      ...pageOf(context.tokens.seal, "uplinks", context.uplinks.status(), query),
      paused: context.uplinks.paused,
    }),
  });
}
