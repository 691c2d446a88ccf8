import * as Type from "typebox";
import { decodeCursor, encodeCursor, listQuery, pageOf, plainListQuery } from "../cursor.ts";
import type { Router } from "../route.ts";
import { mappings, readings } from "../schemas/readings.ts";

const readingsQuery = listQuery({
  prefix: Type.Optional(
    Type.String({ maxLength: 1_024, description: "Only streams whose name begins like this." }),
  ),
});

/** What came in. */
export function addReadings({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/readings",
    operationId: "listReadings",
    tag: "readings",
    summary: "The newest reading of each stream, newest first",
    scope: "viewer",
    query: readingsQuery,
    success: { status: 200, description: "A page of readings.", schema: readings },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor, prefix } }) {
      const filter = prefix ?? "";
      const offset = decodeCursor(context.tokens.seal, "readings", filter, cursor, "number") ?? 0;
      const page = context.readings.latest({
        limit,
        offset,
        ...(prefix === undefined ? {} : { prefix }),
      });
      const end = offset + page.readings.length;
      return {
        items: page.readings,
        ...(page.readings.length > 0 && end < page.total
          ? { nextCursor: encodeCursor(context.tokens.seal, "readings", filter, end) }
          : {}),
        total: page.total,
        totals: context.readings.totals(),
      };
    },
  });

  add({
    method: "GET",
    url: "/v1/mqtt/mappings",
    operationId: "listTopicMappings",
    tag: "readings",
    summary: "Which MQTT topics are taken, and how; and the broker's state",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "The mappings, first match first.", schema: mappings },
    problems: ["request.cursor"],
    handler: ({ query }) => ({
      ...pageOf(context.tokens.seal, "mappings", context.readings.mappings(), query),
      broker: context.brokerStatus(),
    }),
  });
}
