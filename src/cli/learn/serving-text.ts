import type { Body } from "../../api/schemas/common.ts";
import type {
  learningAlert,
  learningLabel,
  learningServing,
  learningVersions,
} from "../../api/schemas/learning-serving.ts";
import { bytes, plural, print, printPairs, printTable, time } from "../output.ts";

/** Prints how an agent judges its own streams. */
export function printServing(serving: Body<typeof learningServing>): void {
  const { task, name, round, threshold, because, newest, alert, detector, recorder, scale } =
    serving;
  const model = round === undefined ? `none: ${because ?? "not yet"}` : `of round ${round}`;
  const since = alert.sinceMs === undefined ? "" : ` since ${time(alert.sinceMs)}`;
  printPairs([
    ["task", `${task}, ${name}`],
    ["model", model],
    ...(threshold === undefined ? [] : ([["threshold", short(threshold)]] as const)),
    ["alert", alert.raised ? `raised${since}` : "none"],
    ...(newest === undefined
      ? []
      : ([
          [
            "newest score",
            `${short(newest.score)}${newest.isAnomalous ? ", anomalous" : ""}, ${time(newest.atMs)}`,
          ],
        ] as const)),
    [
      "windows",
      `${detector.judged} judged, ${detector.anomalous} anomalous, ${detector.skipped} skipped, ${detector.failed} failed`,
    ],
    ["alerts", `${detector.alerts} raised, ${detector.suppressed} kept back`],
    [
      "history",
      `${plural(recorder.points, "step")}, ${plural(recorder.streams, "stream")}, ${bytes(recorder.memoryBytes)}`,
    ],
    ["readings", `${recorder.heard} heard, ${recorder.recorded} recorded${lost(recorder)}`],
    ...(scale ?? []).map(
      ({ channel, mean, deviation }) =>
        [`scale of ${channel}`, `mean ${short(mean)}, deviation ${short(deviation)}`] as const,
    ),
  ]);
}

/** Prints the models of a task on an agent. */
export function printVersions(versions: Body<typeof learningVersions>): void {
  const { items, pinnedRound, trial } = versions;
  printTable(
    ["ROUND", "STATE", "SINCE", "ERROR", "THRESHOLD", "MODEL"],
    items.map(({ round, state, sinceMs, holdOutError, threshold, hash }) => [
      String(round),
      round === pinnedRound ? `${state}, pinned` : state,
      time(sinceMs),
      short(holdOutError),
      threshold === undefined ? "" : short(threshold),
      hash.slice(0, 12),
    ]),
    "no model has come of a round yet",
  );
  if (trial !== undefined)
    print(
      `round ${trial.round} has judged ${plural(trial.windows, "window")} beside the one that serves`,
    );
}

/** Prints alerts, a line for each. */
export function printAlerts(alerts: readonly Body<typeof learningAlert>[]): void {
  printTable(
    ["TIME", "TASK", "STATE", "SCORE", "THRESHOLD", "SINCE", "ROUND"],
    alerts.map(({ atMs, name, state, score, threshold, sinceMs, round }) => [
      time(atMs),
      name,
      state,
      short(score),
      short(threshold),
      time(sinceMs),
      String(round),
    ]),
    "no alerts since this agent's start",
  );
}

/** Prints labels, a line for each. */
export function printLabels(labels: readonly Body<typeof learningLabel>[]): void {
  printTable(
    ["ID", "FROM", "TO", "CLASS", "WHO", "NOTE"],
    labels.map(({ id, fromMs, toMs, class: what, who, note }) => [
      String(id),
      time(fromMs),
      time(toMs),
      String(what),
      who,
      note ?? "",
    ]),
    "no labels",
  );
}

function lost(recorder: Body<typeof learningServing>["recorder"]): string {
  const { unparsable, implausible, late, duplicates, refused } = recorder;
  return Object.entries({ unparsable, implausible, late, duplicates, refused })
    .filter(([, many]) => many > 0)
    .map(([why, many]) => `, ${many} ${why}`)
    .join("");
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
