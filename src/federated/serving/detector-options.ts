import * as Type from "typebox";
import { size, strict } from "../options/schema-words.ts";

/** Settings of what judges a device's windows by a learned model; an agent's own or of the task's manifest. */
export const detectorOptions = Type.Object(
  {
    quantile: Type.Number({
      default: 0.99,
      exclusiveMinimum: 0,
      maximum: 1,
      description: "The threshold is the error that this share of the hold-out stays below…",
    }),
    margin: Type.Number({
      default: 2,
      minimum: 0.1,
      maximum: 1_000,
      description: "…times this.",
    }),
    raiseCount: size(256, 3),
    raiseOf: size(256, 5),
    clearAfter: size(10_000, 10),
    alertsPerHourMax: size(3_600, 6),
  },
  { ...strict, default: {}, description: "When windows become alerts." },
);

/** When windows become alerts: see `thresholdOf` and `AlertRules`. */
export type DetectorOptions = Type.Static<typeof detectorOptions>;

/** @returns what contradicts itself, by its setting */
export function detectorFaults(
  { raiseCount, raiseOf }: DetectorOptions,
  at = "detector",
): readonly string[] {
  return raiseCount > raiseOf
    ? [
        `${at}.raiseCount (${raiseCount}) is above raiseOf (${raiseOf}): no alert could ever be raised`,
      ]
    : [];
}
