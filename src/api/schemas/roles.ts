import * as Type from "typebox";
import { count, named } from "./common.ts";

const milliseconds = (description: string) => Type.Number({ minimum: 0, description });
const agent = {
  peerId: Type.String({ description: "Name of the agent's identity key." }),
  self: Type.Boolean({ description: "It is the one that answers." }),
};

/** An agent that has a role. */
export const roleHolder = Type.Object(
  {
    ...agent,
    agentId: Type.Optional(
      Type.String({ description: "Absent for one that is not in this agent's table." }),
    ),
  },
  { $id: "RoleHolder" },
);

/** An agent with what its roles follow from. */
export const ratedAgent = Type.Object(
  {
    ...agent,
    agentId: Type.String(),
    standing: Type.Enum(["quorum", "reserve", "none"], {
      description:
        "What it may hold. `quorum`: any role, for it is on mains; `reserve`: on battery, aggregator where nobody is on mains; `none`: it works, and may train.",
    }),
    score: Type.Integer({
      minimum: 0,
      maximum: 820,
      description: "How suitable it is, by what it says of itself.",
    }),
    coordination: Type.Enum(["coordinator", "validator", "worker"]),
    learning: Type.Array(Type.Enum(["aggregator", "validator", "trainer"]), {
      description: "Parts in learning; several in a small fleet.",
    }),
  },
  { $id: "RatedAgent" },
);

/** GET /v1/roles. */
export const roles = Type.Object(
  {
    enabled: Type.Boolean({ description: "This agent takes part." }),
    self: Type.Optional(named(ratedAgent)),
    assignment: Type.Optional(
      Type.Object(
        {
          term: Type.Integer({ minimum: 1, description: "Grows with every change." }),
          quorum: Type.Boolean({
            description:
              "There is a coordinator with a committee, all on mains. Without it nothing can be agreed on.",
          }),
          coordinator: Type.Optional(named(roleHolder)),
          caretaker: Type.Optional(named(roleHolder)),
          validators: Type.Array(named(roleHolder), {
            description: "The committee without the coordinator.",
          }),
          aggregators: Type.Array(named(roleHolder)),
          reason: Type.Enum(["vacant", "better", "members", "rebalanced"], {
            description:
              "Why it took the place of the one before. `vacant`: nobody led; `better`: its maker is much more suitable; `members`: somebody is gone or came; `rebalanced`: others are much more suitable.",
          }),
          ledForMs: milliseconds("How long its maker has led, as seen from here."),
          renewedMsAgo: milliseconds("How long ago its maker gave a sign of life."),
        },
        { description: "What is in force; absent while nobody leads." },
      ),
    ),
    candidates: Type.Array(named(ratedAgent), {
      description: "Living agents that take part, most suitable first; 32 at most.",
    }),
    counters: Type.Object(
      {
        adopted: count("Assignments that came into force here."),
        made: count("Assignments that this agent made."),
        changes: count("Changes of this agent's own roles."),
      },
      { description: "Since the agent started." },
    ),
  },
  { $id: "Roles" },
);
