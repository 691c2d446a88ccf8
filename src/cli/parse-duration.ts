import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** @returns milliseconds of a text such as `90s`, `30m`, `12h` or `30d` @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit] ?? 0);
  if (ms <= 0) throw new InvalidArgumentError("Write it like 90s, 30m, 12h or 30d.");
  return ms;
}
