import type { RoundReport } from "../../federated/lab/federation.ts";
import { escapeHtml, htmlTable } from "../../simulator/run/html.ts";
import { labPlot } from "./lab-plot.ts";
import type { LabRun } from "./lab-run.ts";
import { byVariant, type Table } from "./summary-table.ts";

/** @returns a web page, whole in itself, with tables and plots of the runs */
export function labReport(of: {
  readonly name: string;
  readonly file: string;
  readonly runs: readonly LabRun[];
  readonly table: Table;
  readonly cross?: Table;
  readonly seeds?: Table;
  readonly experiment: unknown;
}): string {
  const { name, file, runs, table, cross, seeds, experiment } = of;
  const plots = [
    plot("Accuracy on the test samples, by rounds", runs, accuracyOf),
    plot("Accuracy of clients' own models, by rounds", runs, ({ ownAccuracy }) => ownAccuracy),
    plot("Training loss of honest clients, by rounds", runs, ({ trainLoss }) => trainLoss),
    plot(
      "Accuracy on the test samples, by megabytes sent",
      runs,
      accuracyOf,
      ({ uploadedBytes }) => uploadedBytes / 1e6,
    ),
    plot("What compression left out, by rounds", runs, ({ compressionError }) => compressionError),
  ];
  const [first] = runs;
  const facts: [string, string][] = [
    ["File", file],
    ["Backend", first?.backend ?? "none"],
    ["Clients", String(first?.clients ?? 0)],
    ["Parameters", (first?.parameterCount ?? 0).toLocaleString("en")],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(name)}</title>
<style>body{font:15px system-ui;margin:2em auto;max-width:940px;padding:0 1em;color:#1c2733}
figure{margin:1.5em 0}figcaption{font-weight:600;margin-bottom:.4em}svg{background:#f4f6f8;border-radius:6px}
table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top}
pre{overflow-x:auto}
.key{font-size:13px;columns:3}.key span{display:block}</style></head><body>
<h1>${escapeHtml(name)}</h1>
${htmlTable([], facts)}
${cross === undefined ? "" : `<h2>Accuracy in the end</h2>${htmlTable(cross.headings, cross.rows)}`}
${seeds === undefined ? "" : `<h2>Over the seeds</h2><p>Mean, least and greatest:</p>${htmlTable(seeds.headings, seeds.rows)}`}
<h2>Runs</h2>${htmlTable(table.headings, table.rows)}
<h2>Course</h2>${plots.filter((each) => each !== "").join("\n")}
<h2>Experiment</h2><p>The first variant, complete:</p><pre>${escapeHtml(JSON.stringify(experiment, null, 2))}</pre>
</body></html>
`;
}

function accuracyOf({ accuracy }: RoundReport): number | undefined {
  return accuracy;
}

/** A colour for each variant; its seeds are lines of that colour. Nothing where no run has such values. */
function plot(
  title: string,
  runs: readonly LabRun[],
  y: (report: RoundReport) => number | undefined,
  x: (report: RoundReport) => number = ({ round }) => round,
): string {
  const groups = [...byVariant(runs).values()].map((same) => ({
    name: Object.values(same[0]?.labels ?? {}).join(", ") || "all",
    lines: same.map(({ history, seed }) => ({
      name: `seed ${seed}`,
      points: history.flatMap((report): [number, number][] => {
        const value = y(report);
        return value === undefined || !Number.isFinite(value) ? [] : [[x(report), value]];
      }),
    })),
  }));
  return labPlot(title, groups);
}
