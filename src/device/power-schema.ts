import * as Type from "typebox";
import type { PowerMode } from "./view.ts";

/** The modes, most generous first: a later one saves more. */
export const powerModes = [
  "normal",
  "saving",
  "aggressive",
  "critical",
] as const satisfies readonly PowerMode[];

const settings = (mode: PowerMode) =>
  Type.Optional(
    Type.Object(
      {
        samplingIntervalMs: Type.Optional(
          Type.Integer({
            minimum: 1_000,
            maximum: 86_400_000,
            description: `Time between two looks at the device in ${mode} mode.`,
          }),
        ),
        uplinkBatchIntervalMs: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 86_400_000,
            description: `Updates wait this long to leave together in ${mode} mode; 0: they leave at once.`,
          }),
        ),
        uplinkBatchUpdatesMax: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            description: `So many waiting updates leave before the interval is over in ${mode} mode.`,
          }),
        ),
        uplinkUrgentPriorityMin: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 10,
            description: `Updates of at least this priority never wait in ${mode} mode; 10: all wait.`,
          }),
        ),
        uplinkDisconnectBetweenBatches: Type.Optional(
          Type.Boolean({
            description: `Uplinks are disconnected while updates gather in ${mode} mode, so that the radio sleeps; no commands come in meanwhile.`,
          }),
        ),
      },
      { additionalProperties: false },
    ),
  );

const band = (what: string, unit: string, range: { minimum: number; maximum: number }) =>
  Type.Optional(
    Type.Object(
      {
        enter: Type.Optional(
          Type.Number({ ...range, description: `${what} at which this mode begins, ${unit}.` }),
        ),
        leave: Type.Optional(
          Type.Number({ ...range, description: `${what} at which this mode may end, ${unit}.` }),
        ),
      },
      { additionalProperties: false },
    ),
  );

const bands = (
  what: string,
  unit: string,
  range: { minimum: number; maximum: number },
  description: string,
) =>
  Type.Optional(
    Type.Object(
      {
        saving: band(what, unit, range),
        aggressive: band(what, unit, range),
        critical: band(what, unit, range),
      },
      { additionalProperties: false, description },
    ),
  );

const modeAskedFor = (description: string) =>
  Type.Optional(Type.Enum([...powerModes], { description }));

/** What a profile's `power` and the configuration's `power` may both say; what is unsaid stays as it was. */
export const powerPolicyKeys = {
  batteryPercent: bands(
    "State of charge",
    "percent",
    { minimum: 0, maximum: 100 },
    "Modes by battery charge. A mode begins only while the battery is not being charged.",
  ),
  celsius: bands(
    "Temperature",
    "°C",
    { minimum: -40, maximum: 150 },
    "Modes by the hottest thermal zone.",
  ),
  underVoltage: modeAskedFor("At least this mode while the supply voltage is too low."),
  throttled: modeAskedFor("At least this mode while the processor is being slowed down."),
  dwellMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 86_400_000,
      description:
        "Things must have been better for this long before a more generous mode returns.",
    }),
  ),
  modes: Type.Optional(
    Type.Object(
      {
        normal: settings("normal"),
        saving: settings("saving"),
        aggressive: settings("aggressive"),
        critical: settings("critical"),
      },
      { additionalProperties: false, description: "What each mode asks of the agent." },
    ),
  ),
};

/** A profile's `power`. */
export const powerOverridesSchema = Type.Object(powerPolicyKeys, { additionalProperties: false });

/** Thresholds and settings to lay over others. */
export type PowerOverrides = Type.Static<typeof powerOverridesSchema>;
