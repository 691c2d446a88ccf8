import type { Random } from "./random.ts";

/**
 * Full jitter: a random moment within an interval that doubles with every failure, so that a fleet that lost
 * its broker together does not come back together (Brooker, "Exponential Backoff And Jitter", 2015).
 */
export function backoffMs(
  attempt: number,
  limits: { readonly retryMinMs: number; readonly retryMaxMs: number },
  random: Random,
): number {
  const { retryMinMs, retryMaxMs } = limits;
  const ceilingMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
  return Math.round(random.next() * ceilingMs);
}
