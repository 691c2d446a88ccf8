import { type PowerOverrides, powerModes } from "./power-schema.ts";
import type { PowerMode, PowerSettings } from "./view.ts";

/** A mode that saves something. */
export type SavingMode = Exclude<PowerMode, "normal">;

/** Where a mode begins and where it may end; the distance between them is the hysteresis. */
export interface Band {
  readonly enter: number;
  readonly leave: number;
}

/** Thresholds and settings, complete. */
export interface PowerPolicy {
  /** Enter at or below, leave at or above; percent. */
  readonly batteryPercent: Readonly<Record<SavingMode, Band>>;
  /** Enter at or above, leave at or below; °C. */
  readonly celsius: Readonly<Record<SavingMode, Band>>;
  /** At least this mode while the supply voltage is too low. */
  readonly underVoltage: PowerMode;
  /** At least this mode while the processor is being slowed down. */
  readonly throttled: PowerMode;
  /** Time that things must have been better before one step up. */
  readonly dwellMs: number;
  readonly modes: Readonly<Record<PowerMode, PowerSettings>>;
}

const settings = (
  samplingSeconds: number,
  uplinkBatchSeconds: number,
  uplinkBatchUpdatesMax: number,
): PowerSettings => ({
  samplingIntervalMs: samplingSeconds * 1_000,
  uplinkBatchIntervalMs: uplinkBatchSeconds * 1_000,
  uplinkBatchUpdatesMax,
  uplinkUrgentPriorityMin: 8,
  // Dialling anew costs something too: it pays where the pause is long.
  uplinkDisconnectBetweenBatches: uplinkBatchSeconds >= 300,
});

/** The policy where neither profile nor configuration says anything. */
export const defaultPowerPolicy: PowerPolicy = {
  batteryPercent: {
    saving: { enter: 30, leave: 35 },
    aggressive: { enter: 15, leave: 20 },
    critical: { enter: 5, leave: 8 },
  },
  celsius: {
    saving: { enter: 75, leave: 70 },
    aggressive: { enter: 82, leave: 77 },
    critical: { enter: 90, leave: 84 },
  },
  underVoltage: "saving",
  throttled: "saving",
  dwellMs: 120_000,
  modes: {
    normal: settings(10, 0, 1),
    saving: settings(30, 30, 500),
    aggressive: settings(120, 300, 5_000),
    critical: settings(600, 900, 20_000),
  },
};

/** Thresholds contradict each other; the message names the setting. */
export class PowerPolicyError extends Error {
  override readonly name = "PowerPolicyError";
  readonly code = "power.policy-invalid";
}

const savingModes = ["saving", "aggressive", "critical"] as const;

/**
 * Lays overrides over the default policy, later ones winning.
 *
 * @throws PowerPolicyError when what results makes no sense, such as a `leave` that is already reached at `enter`
 */
export function resolvePowerPolicy(...layers: readonly PowerOverrides[]): PowerPolicy {
  let policy = defaultPowerPolicy;
  for (const layer of layers) {
    policy = {
      batteryPercent: mergeBands(policy.batteryPercent, layer.batteryPercent),
      celsius: mergeBands(policy.celsius, layer.celsius),
      underVoltage: layer.underVoltage ?? policy.underVoltage,
      throttled: layer.throttled ?? policy.throttled,
      dwellMs: layer.dwellMs ?? policy.dwellMs,
      modes: {
        normal: { ...policy.modes.normal, ...layer.modes?.normal },
        saving: { ...policy.modes.saving, ...layer.modes?.saving },
        aggressive: { ...policy.modes.aggressive, ...layer.modes?.aggressive },
        critical: { ...policy.modes.critical, ...layer.modes?.critical },
      },
    };
  }
  checkBands("batteryPercent", policy.batteryPercent, "above", (a, b) => a > b);
  checkBands("celsius", policy.celsius, "below", (a, b) => a < b);
  checkModes(policy.modes);
  return policy;
}

type Bands = Readonly<Record<SavingMode, Band>>;

function mergeBands(base: Bands, layer: PowerOverrides["celsius"]): Bands {
  return {
    saving: { ...base.saving, ...layer?.saving },
    aggressive: { ...base.aggressive, ...layer?.aggressive },
    critical: { ...base.critical, ...layer?.critical },
  };
}

function checkBands(
  key: "batteryPercent" | "celsius",
  bands: Bands,
  side: "above" | "below",
  better: (a: number, b: number) => boolean,
): void {
  let milder: { mode: SavingMode; band: Band } | undefined;
  for (const mode of savingModes) {
    const band = bands[mode];
    const setting = `power.${key}.${mode}`;
    if (!better(band.leave, band.enter)) {
      throw new PowerPolicyError(
        `${setting}.leave is ${band.leave}; it must be ${side} ${setting}.enter, which is ${band.enter}`,
      );
    }
    for (const edge of ["enter", "leave"] as const) {
      if (milder !== undefined && !better(milder.band[edge], band[edge])) {
        throw new PowerPolicyError(
          `power.${key}.${milder.mode}.${edge} is ${milder.band[edge]}; it must be ${side} ${setting}.${edge}, which is ${band[edge]}`,
        );
      }
    }
    milder = { mode, band };
  }
}

/** A mode that saves more must not look more often or send sooner than a milder one. */
function checkModes(modes: PowerPolicy["modes"]): void {
  let milder: PowerMode = "normal";
  for (const mode of powerModes) {
    for (const key of ["samplingIntervalMs", "uplinkBatchIntervalMs"] as const) {
      if (modes[mode][key] < modes[milder][key]) {
        throw new PowerPolicyError(
          `power.modes.${mode}.${key} is ${modes[mode][key]}; it must be at least power.modes.${milder}.${key}, which is ${modes[milder][key]}`,
        );
      }
    }
    milder = mode;
  }
}
