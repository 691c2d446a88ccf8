const FORM = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/;
const DAY_MS = 86_400_000;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;

let lastMs = Number.NaN;
let lastText = "";

/** @returns the moment as RFC 3339 in UTC with milliseconds, for years 0 to 9999 */
export function formatTimestamp(epochMs: number): string {
  // Many updates share a moment.
  if (epochMs === lastMs) return lastText;
  const days = Math.floor(epochMs / DAY_MS);
  const ms = epochMs - days * DAY_MS;
  const [year, month, day] = dateOf(days);
  const time = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1_000) % 60].map((part) => two(part));
  const date = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
  lastText = `${date}T${time.join(":")}.${String(Math.floor(ms % 1_000)).padStart(3, "0")}Z`;
  lastMs = epochMs;
  return lastText;
}

/** @returns milliseconds since 1970, or undefined where the text is no moment of RFC 3339 in UTC */
export function parseTimestamp(text: string): number | undefined {
  const parts = FORM.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hours, minutes, seconds] = parts.slice(1, 7).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (hours === undefined || minutes === undefined || seconds === undefined) return undefined;
  if (month < 1 || month > 12 || hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const days = daysOf(year, month, day);
  if (day < 1 || dateOf(days)[2] !== day) return undefined;
  const fraction = Number((parts[7] ?? "").slice(0, 3).padEnd(3, "0"));
  return days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1_000 + fraction;
}

// Both ways by the arithmetic of a year that begins in March, so that the leap day comes last.

function daysOf(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const century = Math.floor(marchYear / 400);
  const yearOfCentury = marchYear - century * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leaps = Math.floor(yearOfCentury / 4) - Math.floor(yearOfCentury / 100);
  return century * 146_097 + yearOfCentury * 365 + leaps + dayOfYear - EPOCH_DAYS;
}

function dateOf(days: number): readonly [year: number, month: number, day: number] {
  const shifted = days + EPOCH_DAYS;
  const century = Math.floor(shifted / 146_097);
  const dayOfCentury = shifted - century * 146_097;
  const yearOfCentury = Math.floor(
    (dayOfCentury -
      Math.floor(dayOfCentury / 1_460) +
      Math.floor(dayOfCentury / 36_524) -
      Math.floor(dayOfCentury / 146_096)) /
      365,
  );
  const leaps = Math.floor(yearOfCentury / 4) - Math.floor(yearOfCentury / 100);
  const dayOfYear = dayOfCentury - (365 * yearOfCentury + leaps);
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return [yearOfCentury + century * 400 + (month <= 2 ? 1 : 0), month, day];
}

function two(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}
