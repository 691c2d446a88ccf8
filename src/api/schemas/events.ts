import * as Type from "typebox";
import { epochMs } from "./common.ts";

/** One `data:` document of GET /v1/events. */
export const event = Type.Object(
  {
    id: Type.Integer({ description: "Ascending; also the SSE id, for `Last-Event-ID`." }),
    type: Type.String({ description: "Also the SSE event name." }),
    atMs: epochMs("When it happened."),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: "Event" },
);
