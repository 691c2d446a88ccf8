import * as Type from "typebox";
import { COMMITTEE_SIZES_MAX } from "./roles/committee-sizes.ts";
import { KIND_PATTERN } from "./tasks/order.ts";

const skills = (description: string) =>
  Type.Array(Type.String({ pattern: "^[a-z][a-z0-9-]{0,31}$" }), {
    default: [],
    maxItems: 16,
    uniqueItems: true,
    description,
  });

const needsOptions = Type.Object(
  {
    coordinator: skills("Skills without which no agent leads."),
    validator: skills("Skills without which no agent is in the committee."),
    aggregator: skills("Skills without which no agent aggregates."),
    trainer: skills("Skills without which no agent trains."),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What roles want of those who get them; to be the same on all agents.",
  },
);

const rolesOptions = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description: "Negotiate roles with the fleet, as long as there is a mesh.",
    }),
    skills: skills(
      "What this device offers beyond the base, for example a camera; told to the fleet as features.",
    ),
    needs: needsOptions,
    committeeMax: Type.Enum(COMMITTEE_SIZES_MAX, {
      default: 10,
      description:
        "Largest committee, the coordinator included. Raft has 1, 3 or 5 members, the other protocols 1, 3, 4, 7 or 10.",
    }),
    rebalanceIntervalMs: Type.Integer({
      default: 300_000,
      minimum: 10_000,
      maximum: 86_400_000,
      description: "Between two looks whether somebody is so much better that roles should move.",
    }),
    marginPercent: Type.Integer({
      default: 20,
      minimum: 20,
      maximum: 1_000,
      description:
        "How much better that has to be. Less than 20 would let roles follow every change of load.",
    }),
    exchangeIntervalMs: Type.Integer({
      default: 30_000,
      minimum: 1_000,
      maximum: 3_600_000,
      description:
        "Between two comparisons with a neighbour; longer while the power policy slows the mesh down.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "Who leads, who checks, who aggregates and who trains.",
  },
);

const taskKind = Type.Object(
  {
    name: Type.String({
      pattern: KIND_PATTERN,
      description: "What orders call it; told to the fleet as the feature `task:` with this name.",
    }),
    timeoutMs: Type.Integer({
      default: 300_000,
      minimum: 100,
      maximum: 86_400_000,
      description: "Work of which no program says anything for this long has failed.",
    }),
  },
  { additionalProperties: false },
);

const tasksOptions = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description: "Take orders, and do tasks of others, as long as there is a mesh.",
    }),
    kinds: Type.Array(taskKind, {
      default: [],
      maxItems: 8,
      description: "What programs on this device do for the fleet, beside `describe`.",
    }),
    capacity: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 64,
      description: "Tasks that are worked on here at once.",
    }),
    bidWithinMs: Type.Integer({
      default: 2_000,
      minimum: 50,
      maximum: 60_000,
      description: "For bids to come in; sooner when everybody has answered.",
    }),
    keptMax: Type.Integer({
      default: 512,
      minimum: 1,
      maximum: 1_024,
      description: "Orders that are over and kept, with their results.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What agents do for each other.",
  },
);

const swarmOptions = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description:
        "Keep trails with the fleet, as long as there is a mesh. Nothing is said while nothing is deposited.",
    }),
    decay: Type.Number({
      default: 0.1,
      minimum: 0.001,
      maximum: 0.9,
      description: "What evaporates of a trail in one tick; to be the same on all agents.",
    }),
    exploration: Type.Number({
      default: 0.2,
      minimum: 0,
      maximum: 1,
      description: "Share of choices that look at no trail.",
    }),
    tickMs: Type.Integer({
      default: 10_000,
      minimum: 100,
      maximum: 86_400_000,
      description: "How long a tick lasts; to be the same on all agents.",
    }),
    trailsMax: Type.Integer({
      default: 4_096,
      minimum: 1,
      maximum: 65_536,
      description: "Trails that are kept; the weakest give way.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What agents tell each other by deposits that evaporate.",
  },
);

/** Settings under `coordination`. */
export const coordinationOptions = Type.Object(
  { roles: rolesOptions, tasks: tasksOptions, swarm: swarmOptions },
  {
    additionalProperties: false,
    default: {},
    description: "What agents of a mesh agree on.",
  },
);

/** @see coordinationOptions */
export type CoordinationOptions = Type.Static<typeof coordinationOptions>;
