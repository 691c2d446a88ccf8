import * as Type from "typebox";
import { count, epochMs } from "./common.ts";
import { powerMode } from "./resources.ts";

/** GET /v1/power */
export const power = Type.Object(
  {
    mode: powerMode,
    reason: Type.String({ description: "Why this mode, in words." }),
    sinceMs: epochMs("When this mode was entered."),
    settings: Type.Object({
      samplingIntervalMs: Type.Number({ description: "Time between two looks at the device." }),
      uplinkBatchIntervalMs: Type.Number({
        description: "Updates are held back until this much time has passed…",
      }),
      uplinkBatchUpdatesMax: Type.Number({ description: "…or this many are waiting." }),
      uplinkUrgentPriorityMin: Type.Number({
        description: "Updates of at least this priority leave at once all the same.",
      }),
      uplinkDisconnectBetweenBatches: Type.Boolean({
        description: "Whether uplinks are disconnected while updates gather.",
      }),
    }),
    transitions: count("Mode changes since the agent started."),
  },
  { $id: "Power" },
);

/** GET /v1/power/policy: thresholds, and the settings of every mode. */
export const powerPolicy = Type.Record(Type.String(), Type.Unknown(), { $id: "PowerPolicy" });
