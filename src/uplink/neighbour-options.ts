import * as Type from "typebox";
import { commonUplinkOptions } from "./common-options.ts";

/** One entry of `uplinks` with `kind: neighbour`. */
export const neighbourUplinkOptions = Type.Object(
  {
    ...commonUplinkOptions,
    kind: Type.Literal("neighbour", {
      description: "An agent of the mesh that has an uplink and relays.",
    }),
    via: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
      default: [],
      maxItems: 32,
      uniqueItems: true,
      description: "Ids of the agents that may relay. Unless set: whoever offers to.",
    }),
    inFlightMax: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 2_048,
      description:
        "Updates handed over and not yet delivered upstream. They are kept here until they are, so this bounds what a neighbour holds of this agent.",
    }),
  },
  { additionalProperties: false },
);
