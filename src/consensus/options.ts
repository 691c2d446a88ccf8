import * as Type from "typebox";

/** Settings under `consensus`. */
export const consensusOptions = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Take a seat in the fleet's committee when the roles want it, and follow what it decides. Needs a mesh with roles.",
    }),
    protocol: Type.Enum(["raft", "pbft", "tendermint"], {
      default: "raft",
      description:
        "How the committee agrees; to be the same on all agents. `raft` bears members that crash, from three on; `pbft` and `tendermint` also members that lie, from four on.",
    }),
    foundersMin: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 10,
      description:
        "No committee is founded by fewer agents; `pbft` and `tendermint` want four at least, whatever is set here.",
    }),
    foundAfterMs: Type.Integer({
      default: 10_000,
      minimum: 0,
      maximum: 3_600_000,
      description: "The roles have to be settled for this long before a committee is founded.",
    }),
    replaceAfterMs: Type.Integer({
      default: 60_000,
      minimum: 1_000,
      maximum: 86_400_000,
      description:
        "A member that is gone, or on battery, for this long is replaced where another agent can take its place.",
    }),
    removeAfterMs: Type.Integer({
      default: 600_000,
      minimum: 1_000,
      maximum: 604_800_000,
      description: "Where nobody can, it is taken out after this time.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What a committee of agents on mains agrees on for the whole fleet.",
  },
);
