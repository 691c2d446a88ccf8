import * as Type from "typebox";

/** Settings under `agent`. */
export const agentOptions = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        description:
          "Names the agent in topics and ids. Unless set: host name and a random part, kept in DATA/agent-id.",
      }),
    ),
  },
  { additionalProperties: false, default: {}, description: "Who this agent is." },
);

/** Settings under `log`. */
export const logOptions = Type.Object(
  {
    level: Type.Enum(["debug", "info", "warn", "error"], {
      default: "info",
      description: "The least severe line that is written.",
    }),
  },
  { additionalProperties: false, default: {}, description: "What the agent tells about itself." },
);
