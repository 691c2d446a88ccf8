import { closest } from "fastest-levenshtein";
import * as Type from "typebox";
import type { DeviceIdentity, ProbeHints } from "../platform/device-probe.ts";
import { type PowerOverrides, powerOverridesSchema } from "./power-schema.ts";
import { describeFaults } from "./schema-faults.ts";

const strings = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 64, description }),
  );

/** A firmware profile as it stands in its file; see docs/firmware-profiles.md. */
export const firmwareProfileSchema = Type.Object(
  {
    id: Type.String({
      pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
      description: "Names the profile in `device.profile` and in the API.",
    }),
    name: Type.String({
      minLength: 1,
      maxLength: 128,
      description: "What people call the device.",
    }),
    match: Type.Optional(
      Type.Object(
        {
          compatible: strings("Device tree `compatible` strings, any of which means this device."),
          model: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 128,
              description:
                "Pattern of the device tree or DMI model, where `compatible` says too little; `*` stands for anything.",
            }),
          ),
        },
        {
          additionalProperties: false,
          description: "Which devices this is for. Without it: any that no other profile matches.",
        },
      ),
    ),
    probe: Type.Optional(
      Type.Object(
        {
          thermalZonesExcluded: strings(
            "Thermal zones that are not the device's temperature; `*` stands for anything.",
          ),
          throttling: Type.Optional(
            Type.Array(Type.Enum(["vcgencmd-file", "rpi-volt", "cpufreq", "soctherm"]), {
              maxItems: 4,
              description: "How under-voltage and throttling are told, best first.",
            }),
          ),
          battery: Type.Optional(
            Type.Array(Type.Enum(["power-supply", "ina219"]), {
              maxItems: 2,
              description: "Where the battery is, best first.",
            }),
          ),
          batteryVoltsRange: Type.Optional(
            Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
              minItems: 2,
              maxItems: 2,
              description: "Voltage of the empty and the full pack.",
            }),
          ),
          batteryPositiveCurrent: Type.Optional(
            Type.Enum(["charging", "discharging"], {
              description: "What a current above zero means at an INA219.",
            }),
          ),
          batteryGaugeDoubled: Type.Optional(
            Type.Boolean({ description: "The fuel gauge shows twice the charge." }),
          ),
          totalRails: strings("Power rails that are the sum of the others."),
        },
        { additionalProperties: false, description: "Where this device keeps what it can tell." },
      ),
    ),
    power: Type.Optional(powerOverridesSchema),
    budget: Type.Object(
      {
        memoryBytesMax: Type.Integer({
          minimum: 33_554_432,
          description: "Memory the agent may hold.",
        }),
        cpuPercentMax: Type.Number({
          exclusiveMinimum: 0,
          maximum: 6_400,
          description: "CPU time the agent may take, percent of one core.",
        }),
      },
      { additionalProperties: false, description: "What the agent may take of this device." },
    ),
    flash: Type.Optional(
      Type.Object(
        {
          kind: Type.Enum(["sd", "emmc", "nvme", "disk", "unknown"]),
          bytesPerDayMax: Type.Optional(
            Type.Integer({
              minimum: 0,
              description:
                "What the agent may write to it in a day; `outbox.flashBytesPerDayMax` overrides it.",
            }),
          ),
          notes: Type.Optional(Type.String({ maxLength: 1_024 })),
        },
        { additionalProperties: false, description: "What the data is usually kept on." },
      ),
    ),
  },
  { additionalProperties: false },
);

type ProfileDocument = Type.Static<typeof firmwareProfileSchema>;

/** What the agent may take of the device. */
export interface Budget {
  readonly memoryBytesMax: number;
  /** Percent of one core. */
  readonly cpuPercentMax: number;
}

/** What the agent knows of a kind of device. */
export interface FirmwareProfile {
  readonly id: string;
  readonly name: string;
  readonly match: { readonly compatible: readonly string[]; readonly model?: string };
  readonly probe: ProbeHints;
  readonly power: PowerOverrides;
  readonly budget: Budget;
  readonly flash: {
    readonly kind: string;
    /** What the agent may write to it in a day; absent: as much as it likes. */
    readonly bytesPerDayMax?: number;
    readonly notes?: string;
  };
}

/** A profile is faulty, or none fits; the message names file, key and what to write instead. */
export class FirmwareProfileError extends Error {
  override readonly name = "FirmwareProfileError";
  readonly code: "profile.invalid" | "profile.unknown" | "profile.none-matches";
  constructor(code: FirmwareProfileError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Checks a profile and fills in what it leaves out.
 *
 * @param fileName only to name it in errors
 * @param document what the file held
 * @throws FirmwareProfileError `profile.invalid`
 */
export function parseFirmwareProfile(fileName: string, document: unknown): FirmwareProfile {
  const faults = describeFaults(firmwareProfileSchema, document);
  if (faults.length > 0) {
    throw new FirmwareProfileError("profile.invalid", `${fileName}: ${faults.join("; ")}`);
  }
  const { id, name, match, probe, power, budget, flash } = document as ProfileDocument;
  const { batteryVoltsRange, ...hints } = probe ?? {};
  return {
    id,
    name,
    match: { ...match, compatible: match?.compatible ?? [] },
    probe: {
      thermalZonesExcluded: [],
      throttling: ["cpufreq"],
      battery: ["power-supply"],
      totalRails: [],
      ...hints,
      ...voltsRange(batteryVoltsRange, `${fileName}: probe.batteryVoltsRange`),
    },
    power: power ?? {},
    budget,
    flash: flash ?? { kind: "unknown" },
  };
}

/**
 * @param setting names the setting in the error
 * @throws FirmwareProfileError when empty is not below full
 */
export function voltsRange(
  range: readonly number[] | undefined,
  setting: string,
): Pick<ProbeHints, "batteryVoltsRange"> {
  const [empty, full] = range ?? [];
  if (empty === undefined || full === undefined) return {};
  if (empty >= full) {
    throw new FirmwareProfileError(
      "profile.invalid",
      `${setting} is [${empty}, ${full}]; write the empty pack's voltage first, then the higher one of the full pack`,
    );
  }
  return { batteryVoltsRange: [empty, full] };
}

/**
 * Finds the profile of a device. The one that names the most specific `compatible` string wins, then a
 * model pattern, then a profile that matches anything.
 *
 * @param wanted id of a profile, or `auto`
 * @throws FirmwareProfileError when `wanted` names none, or nothing matches
 */
export function chooseFirmwareProfile(
  profiles: readonly FirmwareProfile[],
  identity: Pick<DeviceIdentity, "compatible" | "model">,
  wanted = "auto",
): { readonly profile: FirmwareProfile; readonly because: string } {
  if (wanted !== "auto") {
    const profile = profiles.find(({ id }) => id === wanted);
    if (profile !== undefined) return { profile, because: "device.profile names it" };
    const ids = profiles.map(({ id }) => id);
    const nearest = ids.length === 0 ? "" : `; did you mean ${closest(wanted, ids)}?`;
    throw new FirmwareProfileError(
      "profile.unknown",
      `device.profile names ${wanted}, but there is no such profile${nearest} (there are: ${ids.join(", ") || "none"})`,
    );
  }
  for (const name of identity.compatible) {
    const profile = profiles.find(({ match }) => match.compatible.includes(name));
    if (profile !== undefined) return { profile, because: `the device tree says ${name}` };
  }
  const byModel = profiles.find(({ match }) => fits(match.model, identity.model));
  if (byModel !== undefined) {
    return { profile: byModel, because: `the model is ${identity.model}` };
  }
  const fallback = profiles.find(
    ({ match }) => match.compatible.length === 0 && match.model === undefined,
  );
  if (fallback === undefined) {
    throw new FirmwareProfileError(
      "profile.none-matches",
      `no firmware profile matches ${identity.model}; add one without \`match\` that fits any device`,
    );
  }
  const what = identity.compatible[0] ?? identity.model;
  return { profile: fallback, because: `no other profile matches ${what}` };
}

function fits(pattern: string | undefined, model: string): boolean {
  if (pattern === undefined) return false;
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "i").test(model);
}
