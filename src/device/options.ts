import * as Type from "typebox";
import { powerModes, powerPolicyKeys } from "./power-schema.ts";

/** Settings under `device`. */
export const deviceOptions = Type.Object(
  {
    profile: Type.String({
      minLength: 1,
      maxLength: 63,
      default: "auto",
      description: "Id of the firmware profile; `auto` finds it from the device tree.",
    }),
    historyPointsMax: Type.Integer({
      minimum: 10,
      maximum: 100_000,
      default: 8_640,
      description: "Samples kept in memory for the history, 56 bytes each; the oldest give way.",
    }),
    battery: Type.Object(
      {
        voltsRange: Type.Optional(
          Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
            minItems: 2,
            maxItems: 2,
            description:
              "Voltage of the empty and the full pack, for gauges that know voltage only; unless set, the profile's.",
          }),
        ),
        positiveCurrent: Type.Optional(
          Type.Enum(["charging", "discharging"], {
            description: "What a current above zero means at an INA219; unless set, the profile's.",
          }),
        ),
        gaugeDoubled: Type.Optional(
          Type.Boolean({
            description: "The fuel gauge shows twice the charge; unless set, the profile's.",
          }),
        ),
      },
      {
        additionalProperties: false,
        default: {},
        description: "How the battery is read where the firmware profile does not fit.",
      },
    ),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What the device is, and how its state is kept.",
  },
);

/** @see deviceOptions */
export type DeviceOptions = Type.Static<typeof deviceOptions>;

/** Settings under `power`; what is not set is as the firmware profile says. */
export const powerOptions = Type.Object(
  {
    mode: Type.Enum(["auto", ...powerModes], {
      default: "auto",
      description: "`auto` follows battery, temperature and supply; a mode's name holds that mode.",
    }),
    ...powerPolicyKeys,
  },
  {
    additionalProperties: false,
    default: {},
    description:
      "When to save power, and how. What is not set here is as the firmware profile says, and where that says nothing, as in firmware-profiles.md.",
  },
);

/** @see powerOptions */
export type PowerOptions = Type.Static<typeof powerOptions>;

/** Settings under `budget`. */
export const budgetOptions = Type.Object(
  {
    memoryBytesMax: Type.Optional(
      Type.Integer({
        minimum: 33_554_432,
        description: "Memory the agent may hold; unless set, the firmware profile's.",
      }),
    ),
    cpuPercentMax: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 6_400,
        description:
          "CPU time the agent may take, percent of one core; unless set, the firmware profile's.",
      }),
    ),
  },
  {
    additionalProperties: false,
    default: {},
    description: "How much of the device the agent may take.",
  },
);

/** @see budgetOptions */
export type BudgetOptions = Type.Static<typeof budgetOptions>;
