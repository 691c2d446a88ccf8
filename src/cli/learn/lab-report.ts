import type { RoundReport } from "../../federated/lab/federation.ts";
import { escapeHtml, htmlTable } from "../../simulator/run/html.ts";
import type { LabRun } from "./lab-run.ts";
import type { Table } from "./summary-table.ts";

const WIDTH = 900;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 30;
const TICKS = 5;
/** More curves in one plot nobody tells apart: then the table has to do. */
const CURVES_MAX = 60;

interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** @returns a web page, whole in itself, with tables and plots of the runs */
export function labReport(of: {
  readonly name: string;
  readonly file: string;
  readonly runs: readonly LabRun[];
  readonly table: Table;
  readonly cross?: Table;
  readonly experiment: unknown;
}): string {
  const { name, file, runs, table, cross, experiment } = of;
  const compressed = curves(runs, ({ compressionError }) => compressionError);
  const plots = [
    plot(
      "Accuracy on the test samples, by rounds",
      curves(runs, ({ accuracy }) => accuracy),
    ),
    plot(
      "Training loss of honest clients, by rounds",
      curves(runs, ({ trainLoss }) => trainLoss),
    ),
    plot(
      "Accuracy on the test samples, by megabytes sent",
      curves(
        runs,
        ({ accuracy }) => accuracy,
        ({ uploadedBytes }) => uploadedBytes / 1e6,
      ),
    ),
    ...(compressed.length === 0 ? [] : [plot("What compression left out, by rounds", compressed)]),
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
<style>body{font:15px system-ui;margin:2em auto;max-width:${WIDTH + 40}px;padding:0 1em;color:#1c2733}
figure{margin:1.5em 0}figcaption{font-weight:600;margin-bottom:.4em}svg{background:#f4f6f8;border-radius:6px}
table{border-collapse:collapse}td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top}
.key{font-size:13px;columns:3}.key span{display:block}</style></head><body>
<h1>${escapeHtml(name)}</h1>
${htmlTable([], facts)}
${cross === undefined ? "" : `<h2>Accuracy in the end</h2>${htmlTable(cross.headings, cross.rows)}`}
<h2>Runs</h2>${htmlTable(table.headings, table.rows)}
<h2>Course</h2>${plots.join("\n")}
<h2>Experiment</h2><p>The first variant, complete:</p><pre>${escapeHtml(JSON.stringify(experiment, null, 2))}</pre>
</body></html>
`;
}

function curves(
  runs: readonly LabRun[],
  y: (report: RoundReport) => number | undefined,
  x: (report: RoundReport) => number = ({ round }) => round,
): readonly Curve[] {
  return runs.slice(0, CURVES_MAX).flatMap(({ labels, seed, history }) => {
    const points = history.flatMap((report): [number, number][] => {
      const value = y(report);
      return value === undefined || !Number.isFinite(value) ? [] : [[x(report), value]];
    });
    const name = [...Object.values(labels), `seed ${seed}`].join(", ");
    return points.length === 0 ? [] : [{ name, points }];
  });
}

function plot(title: string, curves: readonly Curve[]): string {
  const all = curves.flatMap(({ points }) => points);
  if (all.length === 0) return "";
  const mostX = all.reduce((most, [x]) => Math.max(most, x), 0) || 1;
  const mostY = all.reduce((most, [, y]) => Math.max(most, y), 0) || 1;
  const placeX = (x: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * x) / mostX;
  const placeY = (y: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / mostY;
  const ticks = Array.from({ length: TICKS + 1 }, (_, at) => at / TICKS);
  const grid = ticks.map((share) => {
    const y = placeY(share * mostY).toFixed(1);
    const x = placeX(share * mostX).toFixed(1);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#d8dee4"/><text x="${LEFT - 6}" y="${y}" text-anchor="end" dominant-baseline="middle">${short(share * mostY)}</text><text x="${x}" y="${HEIGHT - 10}" text-anchor="middle">${short(share * mostX)}</text>`;
  });
  const lines = curves.map(({ name, points }, at) => {
    const path = points
      .map(([x, y]) => `${placeX(x).toFixed(1)},${placeY(y).toFixed(1)}`)
      .join(" ");
    return `<polyline fill="none" stroke="${colour(at, curves.length)}" stroke-width="1.6" points="${path}"><title>${escapeHtml(name)}</title></polyline>`;
  });
  const key = curves.map(
    ({ name }, at) =>
      `<span><b style="color:${colour(at, curves.length)}">&#9644;</b> ${escapeHtml(name)}</span>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="100%" role="img" aria-label="${escapeHtml(title)}" font-size="11" fill="#56636f">${grid.join("")}${lines.join("")}</svg><div class="key">${key.join("")}</div></figure>`;
}

/** Round the circle of colours, light and dark in turn so that neighbours differ. */
function colour(at: number, of: number): string {
  return `hsl(${Math.round((360 * at) / of + 210) % 360} 65% ${at % 2 === 0 ? 42 : 58}%)`;
}

function short(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 3 });
}
