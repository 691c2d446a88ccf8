import * as Type from "typebox";
import { COMMITTEE_SIZES } from "./roles/options.ts";

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
    committeeMax: Type.Enum(COMMITTEE_SIZES, {
      default: 10,
      description: "Largest committee, the coordinator included.",
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

/** Settings under `coordination`. */
export const coordinationOptions = Type.Object(
  { roles: rolesOptions },
  {
    additionalProperties: false,
    default: {},
    description: "What agents of a mesh agree on.",
  },
);

/** @see coordinationOptions */
export type CoordinationOptions = Type.Static<typeof coordinationOptions>;
