import { escapeHtml } from "../../simulator/run/html.ts";

const WIDTH = 900;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 30;
/** About so many lines across and down. */
const TICKS = 5;
/** More colours in one plot nobody tells apart: then the table has to do. */
const GROUPS_MAX = 60;

/** Lines of one colour, with one entry in the key. */
export interface PlotGroup {
  readonly name: string;
  readonly lines: readonly {
    readonly name: string;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

/** @returns a figure with an SVG in it, its axes at round numbers; nothing without points */
export function labPlot(title: string, groups: readonly PlotGroup[]): string {
  const shown = groups
    .filter(({ lines }) => lines.some(({ points }) => points.length > 0))
    .slice(0, GROUPS_MAX);
  const all = shown.flatMap(({ lines }) => lines.flatMap(({ points }) => points));
  if (all.length === 0) return "";
  const across = axis(all.map(([x]) => x).concat(0));
  const up = axis(all.map(([, y]) => y));
  const placeX = (x: number): string =>
    (LEFT + (WIDTH - LEFT - RIGHT) * across.shareOf(x)).toFixed(1);
  const placeY = (y: number): string =>
    (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up.shareOf(y)).toFixed(1);
  const grid = [
    ...up.ticks.map((value) => {
      const y = placeY(value);
      return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#d8dee4"/><text x="${LEFT - 6}" y="${y}" text-anchor="end" dominant-baseline="middle">${up.label(value)}</text>`;
    }),
    ...across.ticks.map(
      (value) =>
        `<text x="${placeX(value)}" y="${HEIGHT - 10}" text-anchor="middle">${across.label(value)}</text>`,
    ),
  ];
  const lines = shown.flatMap(({ name, lines }, at) =>
    lines.map(({ name: line, points }) => {
      const path = points.map(([x, y]) => `${placeX(x)},${placeY(y)}`).join(" ");
      return `<polyline fill="none" stroke="${colour(at, shown.length)}" stroke-width="1.6" points="${path}"><title>${escapeHtml(`${name}, ${line}`)}</title></polyline>`;
    }),
  );
  const key = shown.map(
    ({ name }, at) =>
      `<span><b style="color:${colour(at, shown.length)}">&#9644;</b> ${escapeHtml(name)}</span>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="100%" role="img" aria-label="${escapeHtml(title)}" font-size="11" fill="#56636f">${grid.join("")}${lines.join("")}</svg><div class="key">${key.join("")}</div></figure>`;
}

interface PlotAxis {
  readonly ticks: readonly number[];
  /** 0 at the first tick, 1 at the last. */
  shareOf(value: number): number;
  label(value: number): string;
}

/** From a round number at or below all values to one at or above, in steps of 1, 2 or 5 times a power of ten. */
function axis(values: readonly number[]): PlotAxis {
  const least = values.reduce((one, other) => Math.min(one, other));
  const most = values.reduce((one, other) => Math.max(one, other));
  const rough = (most - least || Math.abs(most) || 1) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(least / step);
  const last = Math.max(first + 1, Math.ceil(most / step));
  const decimals = Math.min(12, Math.max(0, -Math.floor(Math.log10(step))));
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step),
    shareOf: (value) => (value / step - first) / (last - first),
    label: (value) =>
      value.toLocaleString("en", {
        minimumFractionDigits: decimals,
        maximumFractionDigits: decimals,
      }),
  };
}

/** Round the circle of colours, light and dark in turn so that neighbours differ. */
function colour(at: number, of: number): string {
  return `hsl(${Math.round((360 * at) / of + 210) % 360} 65% ${at % 2 === 0 ? 42 : 58}%)`;
}
