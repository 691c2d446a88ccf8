/** A number ready to be shown: the figure and its unit apart, so that the unit can be set smaller. */
export interface Quantity {
  readonly figure: string;
  readonly unit: string;
}

const MISSING: Quantity = { figure: "–", unit: "" };
const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const score = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

/** One decimal below ten, none above: `3.4`, `12`. */
function figure(value: number): string {
  return Math.abs(value) < 9.95 && !Number.isInteger(value)
    ? value.toFixed(1)
    : whole.format(value);
}

/** `{ figure: "3.4", unit: "%" }`; a dash for null and NaN. */
export function quantity(value: number | null | undefined, unit: string): Quantity {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  return { figure: figure(value), unit };
}

/** Bytes in the largest binary unit that keeps the figure at or above one. */
export function byteQuantity(bytes: number | null | undefined): Quantity {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return MISSING;
  let value = bytes;
  let step = 0;
  while (Math.abs(value) >= 1024 && step < BYTE_UNITS.length - 1) {
    value /= 1024;
    step += 1;
  }
  return { figure: figure(value), unit: BYTE_UNITS[step] ?? "B" };
}

/** A quantity as one string, with a no-break space before the unit. */
export function text(shown: Quantity): string {
  return shown.unit === "" ? shown.figure : `${shown.figure}\u00a0${shown.unit}`;
}

/** @returns `12\u00a0MiB`. */
export function formatBytes(bytes: number | null | undefined): string {
  return text(byteQuantity(bytes));
}

/** @returns `3.4\u00a0%`. */
export function formatPercent(percent: number | null | undefined): string {
  return text(quantity(percent, "%"));
}

/** @returns `10,000`. */
export function formatCount(count: number): string {
  return whole.format(count);
}

/** Two most significant units: `850 ms`, `12 s`, `4 min 5 s`, `3 d 4 h`. Negative counts as zero. */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return "–";
  const ms = Math.max(0, durationMs);
  if (ms > 0 && ms < 1) return "under 1\u00a0ms";
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value}\u00a0${unit}`)
    .join(" ");
}

/** How long ago: `now` within two seconds, else a duration with `ago`. */
export function formatAge(ageMs: number): string {
  return ageMs < 2000 ? "now" : `${formatDuration(ageMs)} ago`;
}

/** Time of day in the browser's zone: `14:02:11`. */
export function formatClock(wallMs: number): string {
  return clock.format(wallMs);
}

/** Day and time in the browser's zone: `22 Nov 2026, 14:02`. */
export function formatDay(wallMs: number): string {
  return dayAndClock.format(wallMs);
}

/** The words with a capital first. */
export function capitalized(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Three digits that matter: `0.0312`, `12.4`, `1,230`. */
export function formatScore(value: number): string {
  return Number.isFinite(value) ? score.format(value) : "–";
}
