import type { DeviceSample } from "../platform/device-probe.ts";
import { powerModes } from "./power-schema.ts";
import type { PowerPolicy, SavingMode } from "./power-settings.ts";
import type { PowerMode } from "./view.ts";

/**
 * The power policy: which mode the device should be in. Input in, effects out; it has no clock.
 *
 * Each axis (battery, heat, supply) asks for a mode; the one that saves most wins. Going down happens at
 * once, as far as needed. Coming back takes one step at a time, each after things have been better for the
 * dwell time. Battery and heat have their own hysteresis besides: a mode entered at 30 % is left at 35 %.
 */
export interface PowerInput {
  readonly monotonicMs: number;
  /** Absent where it could not be read: the axis then stays where it was. */
  readonly battery?: {
    readonly chargePercent?: number;
    readonly state: "charging" | "discharging" | "full" | "unknown";
  };
  readonly celsius?: number;
  readonly underVoltage?: boolean;
  readonly throttled?: boolean;
  /** `power.mode` of the configuration. */
  readonly wanted: "auto" | PowerMode;
}

/** All that the policy remembers between two steps. */
export interface PowerState {
  readonly mode: PowerMode;
  readonly reason: string;
  /** Monotonic time of the last change. */
  readonly enteredMs: number;
  readonly transitions: number;
  /** Since when a more generous mode would do; absent while none would. */
  readonly betterSinceMs?: number;
  readonly batteryMode: PowerMode;
  readonly heatMode: PowerMode;
}

/** What a step asks its runner to do. */
export interface PowerEffect {
  readonly type: "mode-changed";
  readonly from: PowerMode;
  readonly to: PowerMode;
  readonly reason: string;
}

const nothingToSave = "nothing asks for saving";

/** The state before the first sample. */
export function initialPowerState(monotonicMs: number): PowerState {
  return {
    mode: "normal",
    reason: nothingToSave,
    enteredMs: monotonicMs,
    transitions: 0,
    batteryMode: "normal",
    heatMode: "normal",
  };
}

/** @returns what the policy wants to know of a sample. */
export function powerInputOf(
  sample: DeviceSample,
  monotonicMs: number,
  wanted: PowerInput["wanted"],
): PowerInput {
  const { battery, thermal, throttling } = sample;
  return {
    monotonicMs,
    wanted,
    ...(battery.available ? { battery } : {}),
    ...(thermal.available ? { celsius: thermal.celsius } : {}),
    ...(throttling.available && throttling.underVoltageNow !== undefined
      ? { underVoltage: throttling.underVoltageNow }
      : {}),
    ...(throttling.available && throttling.throttledNow !== undefined
      ? { throttled: throttling.throttledNow }
      : {}),
  };
}

/** Takes one step. Same policy, state and input: same answer. */
export function step(
  policy: PowerPolicy,
  state: PowerState,
  input: PowerInput,
): { readonly state: PowerState; readonly effects: readonly PowerEffect[] } {
  const batteryMode = judgeBattery(policy, state.batteryMode, input);
  const heatMode = judgeHeat(policy, state.heatMode, input.celsius);
  const asks = [
    { mode: batteryMode, why: batteryReason(input) },
    { mode: heatMode, why: heatReason(input) },
    { mode: input.underVoltage === true ? policy.underVoltage : "normal", why: "under-voltage" },
    { mode: input.throttled === true ? policy.throttled : "normal", why: "processor throttled" },
  ] as const;
  const depth = Math.max(...asks.map((ask) => depthOf(ask.mode)));
  const target = powerModes[depth] ?? "critical";
  const why =
    asks
      .filter((ask) => depth > 0 && depthOf(ask.mode) === depth)
      .map((ask) => ask.why)
      .join(", ") || nothingToSave;
  const axes = { batteryMode, heatMode };

  if (input.wanted !== "auto") {
    return moved(state, axes, input, input.wanted, "held by the setting power.mode");
  }
  if (depth > depthOf(state.mode)) return moved(state, axes, input, target, why);
  if (depth === depthOf(state.mode)) return moved(state, axes, input, state.mode, why);

  const betterSinceMs = state.betterSinceMs ?? input.monotonicMs;
  if (input.monotonicMs - betterSinceMs < policy.dwellMs) {
    const reason = `${state.mode} until things have been better for ${policy.dwellMs / 1_000} s (${why})`;
    return { state: { ...state, ...axes, betterSinceMs, reason }, effects: [] };
  }
  const next = powerModes[depthOf(state.mode) - 1] ?? "normal";
  const step = moved(state, axes, input, next, next === target ? why : `recovering (${why})`);
  return next === target
    ? step
    : { ...step, state: { ...step.state, betterSinceMs: input.monotonicMs } };
}

function moved(
  state: PowerState,
  axes: Pick<PowerState, "batteryMode" | "heatMode">,
  input: PowerInput,
  to: PowerMode,
  reason: string,
): { state: PowerState; effects: PowerEffect[] } {
  if (to === state.mode) {
    const { betterSinceMs: _, ...rest } = state;
    return { state: { ...rest, ...axes, reason }, effects: [] };
  }
  return {
    state: {
      mode: to,
      reason,
      enteredMs: input.monotonicMs,
      transitions: state.transitions + 1,
      ...axes,
    },
    effects: [{ type: "mode-changed", from: state.mode, to, reason }],
  };
}

function judgeBattery(policy: PowerPolicy, current: PowerMode, input: PowerInput): PowerMode {
  if (input.battery?.state === "full") return "normal";
  const charge = input.battery?.chargePercent;
  if (charge === undefined) return current;
  const judged = judge(
    current,
    (mode) => charge <= policy.batteryPercent[mode].enter,
    (mode) => charge < policy.batteryPercent[mode].leave,
  );
  // What is being charged may come back by level but is never sent further down.
  const charging = input.battery?.state === "charging";
  return charging && depthOf(judged) > depthOf(current) ? current : judged;
}

function judgeHeat(
  policy: PowerPolicy,
  current: PowerMode,
  celsius: number | undefined,
): PowerMode {
  if (celsius === undefined) return current;
  return judge(
    current,
    (mode) => celsius >= policy.celsius[mode].enter,
    (mode) => celsius > policy.celsius[mode].leave,
  );
}

/** The deepest mode that is entered now, or that was entered and is not left yet. */
function judge(
  current: PowerMode,
  entered: (mode: SavingMode) => boolean,
  held: (mode: SavingMode) => boolean,
): PowerMode {
  for (const mode of ["critical", "aggressive", "saving"] as const) {
    if (entered(mode) || (depthOf(current) >= depthOf(mode) && held(mode))) return mode;
  }
  return "normal";
}

function batteryReason({ battery }: PowerInput): string {
  if (battery?.chargePercent === undefined) return "battery low when it was last read";
  const state = { charging: "charging", discharging: "discharging", full: "full", unknown: "" }[
    battery.state
  ];
  const percent = Math.round(battery.chargePercent);
  return `battery at ${percent} %${state === "" ? "" : ` and ${state}`}`;
}

function heatReason({ celsius }: PowerInput): string {
  return celsius === undefined ? "hot when it was last read" : `${celsius.toFixed(1)} °C`;
}

function depthOf(mode: PowerMode): number {
  return powerModes.indexOf(mode);
}
