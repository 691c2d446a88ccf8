import * as Type from "typebox";
import { strict } from "../options/schema-words.ts";
import { detectorFaults, detectorOptions } from "./detector-options.ts";

const canaryOptions = Type.Object(
  {
    shadowWindows: Type.Integer({
      default: 32,
      minimum: 0,
      maximum: 10_000,
      description:
        "Windows that a new model judges beside the one that serves, before it may take over; 0: what is held out decides alone.",
    }),
    worseShareMax: Type.Number({
      default: 0.1,
      minimum: 0,
      maximum: 100,
      description: "A new model's error may be so much larger: 0.1 is a tenth.",
    }),
  },
  { ...strict, default: {}, description: "How a new model shows that it may serve." },
);

/** Settings of a task on streams: how each agent judges its newest windows by the models that come of the rounds. */
export const servingOptions = Type.Object(
  { detector: detectorOptions, canary: canaryOptions },
  {
    ...strict,
    description:
      "How agents judge their newest windows: only for a task on streams, where it may be left out.",
  },
);

/** @see servingOptions */
export type ServingOptions = Type.Static<typeof servingOptions>;

/** @returns what contradicts itself, by its setting */
export function servingFaults({ detector }: ServingOptions): readonly string[] {
  return detectorFaults(detector, "serving.detector");
}
