import * as Type from "typebox";
import { KIND_PATTERN, NEEDS_MAX } from "../../coordination/tasks/order.ts";
import { count, epochMs, list } from "./common.ts";

const METHODS = ["contract-net", "distribution"] as const;
const STATES = [
  "waiting",
  "queued",
  "bidding",
  "working",
  "resting",
  "done",
  "failed",
  "cancelled",
] as const;
const DEADLINE_MS = 300_000;

const json = (description: string) => Type.Unknown({ description });
const agent = {
  peerId: Type.String({ description: "Name of the agent's identity key." }),
  agentId: Type.Optional(Type.String({ description: "Absent where it was not known." })),
};
const state = Type.Enum([...STATES], {
  description:
    "`waiting`: for other tasks; `queued`: for an agent with room; `bidding`; `working`: an agent was awarded it; `resting`: between two attempts, or until somebody can do it; `done`, `failed`, `cancelled`: ends.",
});
const kind = Type.String({ pattern: KIND_PATTERN, description: "What sort of work it is." });

// Optional for the client, never absent for the handler: validation fills in the default.
function defaulting<S extends Type.TSchema>(schema: S): S {
  const optional: S = Type.Optional(schema);
  return optional;
}

/** POST /v1/tasks. */
export const taskRequest = Type.Object(
  {
    kind,
    input: Type.Optional(json("For whoever does it; at most 64 KiB.")),
    needs: defaulting(
      Type.Array(Type.String({ pattern: KIND_PATTERN }), {
        default: [],
        maxItems: NEEDS_MAX,
        uniqueItems: true,
        description: "Skills that an agent has to have; `mains` asks for mains power.",
      }),
    ),
    memoryBytes: defaulting(
      Type.Integer({
        default: 0,
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "Free memory that an agent has to have.",
      }),
    ),
    minAgents: defaulting(
      Type.Integer({
        default: 1,
        minimum: 1,
        maximum: 64,
        description: "So many agents have to do all of it.",
      }),
    ),
    maxAgents: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 64, description: "As `minAgents` unless said." }),
    ),
    deadlineMs: defaulting(
      Type.Integer({
        default: DEADLINE_MS,
        minimum: 1,
        maximum: 86_400_000,
        description: "From now; then it has failed.",
      }),
    ),
    timeoutMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400_000,
        description: "For one attempt; until the deadline unless said.",
      }),
    ),
    priority: defaulting(
      Type.Integer({
        default: 5,
        minimum: 0,
        maximum: 9,
        description: "Distributed tasks of higher priority are given away first.",
      }),
    ),
    after: defaulting(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        default: [],
        maxItems: 64,
        uniqueItems: true,
        description: "Tasks of this agent that have to be done first.",
      }),
    ),
    retriesMax: defaulting(
      Type.Integer({
        default: 3,
        minimum: 0,
        maximum: 100,
        description: "Attempts that may follow one that failed.",
      }),
    ),
    method: defaulting(
      Type.Enum([...METHODS], {
        default: "contract-net",
        description:
          "`contract-net`: agents bid, and the best bids are taken; `distribution`: it is given to one agent, by turns and by load.",
      }),
    ),
  },
  { additionalProperties: false },
);

const brief = {
  id: Type.String(),
  kind: Type.String(),
  state,
  fault: Type.Optional(
    Type.Enum(["attempts", "deadline", "dependency", "unmet", "returned", "refused", "cancelled"], {
      description:
        "Why it has failed. `attempts`: as often as it may; `unmet`: nobody can do it any more; `returned`: agents left or declined too often; `refused`: there was no room.",
    }),
  ),
  detail: Type.Optional(Type.String({ description: "What there is more to say of it." })),
  method: Type.Enum([...METHODS]),
  priority: Type.Integer({ minimum: 0, maximum: 9 }),
  orderedAtMs: epochMs("When it was taken."),
  endedAtMs: Type.Optional(epochMs("When it ended.")),
  attempts: count("Attempts that were begun."),
  agents: Type.Array(Type.String(), {
    description: "Who was awarded the latest attempt, by agent id where that is known.",
  }),
};

/** A task in a list. */
export const taskBrief = Type.Object(brief, { $id: "TaskBrief" });

/** GET /v1/tasks. */
export const tasks = list("Tasks", taskBrief, {});

/** GET /v1/tasks/{id}. */
export const task = Type.Object(
  {
    ...brief,
    input: json("As it was ordered."),
    needs: Type.Array(Type.String()),
    memoryBytes: count("Free memory that it asks for."),
    minAgents: Type.Integer({ minimum: 1 }),
    maxAgents: Type.Integer({ minimum: 1 }),
    deadlineMs: Type.Integer({ minimum: 1, description: "Counted from when it was taken." }),
    timeoutMs: Type.Integer({ minimum: 1, description: "For one attempt." }),
    after: Type.Array(Type.String()),
    retriesMax: count("Attempts that may follow one that failed."),
    failures: count("Attempts that came to nothing."),
    bids: Type.Array(
      Type.Object({
        ...agent,
        cost: Type.Number({ minimum: 0, description: "What it asks, in units of its own." }),
        endsInMs: Type.Number({ minimum: 0, description: "What it promises, from the award." }),
      }),
      { description: "For the latest attempt." },
    ),
    contractors: Type.Array(
      Type.Object({
        ...agent,
        state: Type.Enum(["awarded", "working", "done", "lost"]),
        percent: Type.Number({ minimum: 0, maximum: 100 }),
        reason: Type.Optional(Type.String({ description: "Why it was lost." })),
      }),
      { description: "Who was awarded the latest attempt." },
    ),
    results: Type.Array(
      Type.Object({
        ...agent,
        output: Type.Optional(json("Absent where there was no room to keep it.")),
      }),
    ),
    history: Type.Array(
      Type.Object({
        atMs: epochMs("When."),
        what: Type.String({ description: "`ordered`, `bid`, `awarded`, `lost`, `done`, …" }),
        peerId: Type.Optional(Type.String()),
        agentId: Type.Optional(Type.String()),
        reason: Type.Optional(Type.String()),
      }),
      { description: "The newest 64, oldest first; what happened before a restart is forgotten." },
    ),
  },
  { $id: "Task" },
);

/** Work that a program on this device is to do. */
export const taskOffer = Type.Object(
  {
    id: Type.String({ description: "As the agent that took the order calls it." }),
    kind: Type.String(),
    input: json("What there is to work on."),
    from: Type.String({ description: "Peer id of the agent that wants it done." }),
    offeredAtMs: epochMs("Since when."),
    percent: Type.Number({ minimum: 0, maximum: 100 }),
  },
  { $id: "TaskOffer" },
);

/** GET /v1/tasks/offers. */
export const taskOffers = list("TaskOffers", taskOffer, {});

/** POST /v1/tasks/{id}/result. */
export const taskAnswer = Type.Union([
  Type.Object(
    { output: json("What came of it; at most 64 KiB.") },
    { additionalProperties: false },
  ),
  Type.Object(
    { failure: Type.String({ minLength: 1, maxLength: 256, description: "Why it failed." }) },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      progress: Type.Number({
        minimum: 0,
        maximum: 100,
        description: "How far it is, in percent; begins the timeout anew.",
      }),
    },
    { additionalProperties: false },
  ),
]);
