import type { Random } from "../../platform/random.ts";

/** Logs are told apart by numbers from 1 to below this. */
export const LOG_NUMBERS = 2 ** 48;

/** Who a member is in its group. */
export interface Identity {
  /** Of the member; never given twice in a group. */
  readonly number: number;
  /**
   * Drawn when its log was begun. Whoever lost its log and begins anew has another one, so that nobody takes it for the
   * member that has promised something.
   */
  readonly log: number;
}

/** Draws the number of a log that is begun. */
export function drawLog(random: Random): number {
  const bytes = random.bytes(6);
  let log = 0;
  for (const byte of bytes) log = log * 256 + byte;
  return Math.max(1, log);
}

/** @returns whether it can be read as one, from JSON */
export function isIdentity(value: unknown): value is Identity {
  if (typeof value !== "object" || value === null) return false;
  const { number, log } = value as Partial<Record<keyof Identity, unknown>>;
  return isNumber(number) && isNumber(log) && log < LOG_NUMBERS;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}
