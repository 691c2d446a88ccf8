import * as Type from "typebox";
import { TRAIL_LENGTH_MAX } from "../../coordination/swarm/deposit.ts";
import { list } from "./common.ts";

/** What REST lets trails be called; other agents may call them anything. */
export const trailName = Type.String({
  pattern: `^[A-Za-z0-9._:/@-]{1,${TRAIL_LENGTH_MAX}}$`,
  description: "Name of the trail, for example of an agent or a way that others may take too.",
});

/** A trail and what is on it. */
export const trail = Type.Object(
  {
    trail: Type.String(),
    level: Type.Number({
      minimum: 0,
      description: "What all agents have deposited, as far as it has not evaporated.",
    }),
  },
  { $id: "Trail" },
);

/** GET /v1/trails. */
export const trails = list("Trails", trail, {
  tickMs: Type.Integer({ minimum: 0, description: "How long a tick lasts." }),
  decay: Type.Number({ minimum: 0, maximum: 1, description: "What evaporates in one tick." }),
});

/** POST /v1/trails/{trail}/deposits. */
export const trailDeposit = Type.Object(
  {
    amount: Type.Optional(
      Type.Number({
        default: 1,
        exclusiveMinimum: 0,
        maximum: 100,
        description: "How good it was.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** POST /v1/trails/choose. */
export const trailOptions = Type.Object(
  {
    options: Type.Array(
      Type.Object(
        {
          trail: trailName,
          heuristic: Type.Optional(
            Type.Number({
              default: 1,
              exclusiveMinimum: 0,
              maximum: 1e9,
              description: "How good it looks without any trail, for example one over its cost.",
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 256 },
    ),
  },
  { additionalProperties: false },
);

/** What was chosen. */
export const trailChoice = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: "Place in the options." }),
    trail: Type.String(),
    explored: Type.Boolean({ description: "Chance alone decided." }),
    levels: Type.Array(Type.Number({ minimum: 0 }), {
      description: "What is on each option's trail.",
    }),
  },
  { $id: "TrailChoice" },
);
