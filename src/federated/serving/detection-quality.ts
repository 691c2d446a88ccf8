/** A time in which something was wrong, or in which a detector said so. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** How good a detector's alerts are beside what is known. */
export interface DetectionQuality {
  /** Labelled times in which there was an alert. */
  readonly detected: number;
  readonly missed: number;
  /** Alerts that touch no labelled time. */
  readonly falseAlerts: number;
  /** Share of the alerts that are right; 1 without alerts. */
  readonly precision: number;
  /** Share of the labelled times that were found; 1 without any. */
  readonly recall: number;
  /** From the beginning of each labelled time that was found to its first alert, ms; the mean. Absent when none was. */
  readonly delayMsMean?: number;
}

/**
 * Judges alerts as events, as whoever is called out by them would: a labelled time is found by any alert that touches it, and an
 * alert is false when it touches none. Times without an end yet go up to Infinity.
 */
export function detectionQuality(
  alerts: readonly Span[],
  labelled: readonly Span[],
): DetectionQuality {
  const touches = (one: Span, other: Span): boolean =>
    one.fromMs <= other.toMs && other.fromMs <= one.toMs;
  const delays: number[] = [];
  for (const label of labelled) {
    const first = alerts.find((alert) => touches(alert, label));
    if (first !== undefined) delays.push(Math.max(0, first.fromMs - label.fromMs));
  }
  const falseAlerts = alerts.filter(
    (alert) => !labelled.some((each) => touches(alert, each)),
  ).length;
  const detected = delays.length;
  return {
    detected,
    missed: labelled.length - detected,
    falseAlerts,
    precision: alerts.length === 0 ? 1 : 1 - falseAlerts / alerts.length,
    recall: labelled.length === 0 ? 1 : detected / labelled.length,
    ...(detected > 0 && { delayMsMean: delays.reduce((a, b) => a + b, 0) / detected }),
  };
}
