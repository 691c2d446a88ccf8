import type { AlertMessage } from "./replay.ts";
import type { Span, Stretch } from "./series.ts";

/** An anomaly that an agent raised, in the time of the series. */
interface Anomaly extends Span {
  readonly score: number;
}

/** What an agent made of its stretch of the series. */
export interface Judged {
  readonly agent: string;
  readonly stretch: Stretch;
  /** For each failure of the stretch, the first anomaly that meets it. */
  readonly found: readonly (Anomaly | undefined)[];
  /** Anomalies that meet no failure. */
  readonly falseAlarms: readonly Anomaly[];
}

/**
 * @param alerts as they came on MQTT, of this stretch only
 * @param reallyAt turns the time of the replay into that of the series
 */
export function judge(
  agent: string,
  stretch: Stretch,
  alerts: readonly AlertMessage[],
  reallyAt: (wallMs: number) => number | undefined,
): Judged {
  const anomalies: Anomaly[] = [];
  for (const { state, atMs, score } of alerts) {
    const at = reallyAt(atMs);
    if (at === undefined) continue;
    const last = anomalies.at(-1);
    if (state === "raised") anomalies.push({ fromMs: at, toMs: Number.POSITIVE_INFINITY, score });
    else if (last !== undefined) anomalies[anomalies.length - 1] = { ...last, toMs: at };
  }
  return {
    agent,
    stretch,
    found: stretch.failures.map((failure) => anomalies.find((one) => meets(one, failure))),
    falseAlarms: anomalies.filter((one) => !stretch.failures.some((each) => meets(one, each))),
  };
}

function meets(one: Span, other: Span): boolean {
  return one.fromMs <= other.toMs && one.toMs >= other.fromMs;
}

/** @returns the table that the example ends with */
export function tableOf(judged: readonly Judged[]): string {
  const rows = [["Agent", "Stretch", "Failure labelled", "Anomaly raised", "Score"]];
  for (const { agent, stretch, found, falseAlarms } of judged) {
    for (const [at, failure] of stretch.failures.entries()) {
      const anomaly = found[at];
      rows.push([
        agent,
        stretch.name,
        `${minute(failure.fromMs)} to ${minute(failure.toMs)}`,
        anomaly === undefined ? "not found" : minute(anomaly.fromMs),
        anomaly === undefined ? "" : anomaly.score.toPrecision(3),
      ]);
    }
    if (stretch.failures.length === 0 && falseAlarms.length === 0)
      rows.push([agent, stretch.name, "none", "none", ""]);
    for (const { fromMs, score } of falseAlarms)
      rows.push([agent, stretch.name, "none", `${minute(fromMs)} (false)`, score.toPrecision(3)]);
  }
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function minute(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}
