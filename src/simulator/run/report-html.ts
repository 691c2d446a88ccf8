import { escapeHtml, htmlTable } from "./html.ts";
import type { Scenario } from "./scenario.ts";
import type { Sample, SimulationResult } from "./simulation.ts";

const WIDTH = 640;
const HEIGHT = 160;
const PAD = 8;
const MINUTE_MS = 60_000;

interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly values: readonly (readonly [atMs: number, value: number])[];
}

/** @returns a web page, whole in itself, that tells what happened in a simulation */
export function reportHtml(scenario: Scenario, result: SimulationResult, command: string): string {
  const { samples } = result;
  const plots: Plot[] = [
    plot("Agents that run", "agents", samples, ({ running }) => running),
    plot("Links per running agent", "links", samples, (s) =>
      s.running === 0 ? 0 : s.linkEnds / s.running,
    ),
    plot("Updates that wait in outboxes", "updates", samples, ({ queued }) => queued),
    plot("Acknowledged readings on their way", "readings", samples, ({ owed }) => owed),
    rates("Frames per agent and minute", "frames", samples, result.agents, ({ frames }) => frames),
    rates("Bytes per agent and minute", "bytes", samples, result.agents, (s) => s.frameBytes),
  ];
  const healed =
    result.healedInMs === undefined
      ? "never"
      : `${Math.round(result.healedInMs / 1_000)} virtual seconds after the last fault`;
  const { acknowledged, refused, arrived, repeats } = result.readings;
  const facts: [string, string][] = [
    ["Command", command],
    ["Agents", String(result.agents)],
    ["Virtual time", `${(result.virtualMs / MINUTE_MS).toFixed(1)} min`],
    ["Events", result.events.toLocaleString("en")],
    ["Trace hash", result.traceHash],
    ["Healed", healed],
    ["Readings acknowledged", acknowledged.toLocaleString("en")],
    ["Readings refused", refused.toLocaleString("en")],
    ["Readings arrived", `${arrived.toLocaleString("en")}, and ${repeats} repeats`],
    ["Starts of agents", `${result.starts}, and ${result.failedStarts} that failed`],
  ];
  const verdict =
    result.violationCount === 0
      ? "<p class='good'>Every promise was kept.</p>"
      : `<p class='bad'>${result.violationCount} violations</p>${htmlTable(
          ["At", "Promise", "What"],
          result.violations.map(({ atMs, promise, what }) => [
            `${(atMs / 1_000).toFixed(1)} s`,
            promise,
            what,
          ]),
        )}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Simulation ${escapeHtml(result.seed)}</title>
<style>body{font:15px system-ui;margin:2em auto;max-width:${2 * WIDTH + 60}px;padding:0 1em;color:#1c2733}
.plots{display:flex;flex-wrap:wrap;gap:20px}figure{margin:0}figcaption{font-weight:600}
svg{background:#f4f6f8;border-radius:6px}table{border-collapse:collapse}td,th{padding:3px 12px 3px 0;text-align:left;vertical-align:top}
.good{color:#12703c;font-weight:600}.bad{color:#b3261e;font-weight:600}</style></head><body>
<h1>Simulation of seed ${escapeHtml(result.seed)}</h1>
${verdict}
${htmlTable([], facts)}
<h2>Course</h2><div class="plots">${plots.map(figure).join("")}</div>
<h2>Faults</h2>${htmlTable(["Kind", "Times"], counts(result.faults))}
<h2>What agents logged</h2>${htmlTable(["Level and message", "Times"], counts(result.logs))}
<h2>Scenario</h2><pre>${escapeHtml(JSON.stringify(scenario, null, 2))}</pre>
</body></html>
`;
}

function plot(
  title: string,
  unit: string,
  samples: readonly Sample[],
  value: (sample: Sample) => number,
): Plot {
  return { title, unit, values: samples.map((sample) => [sample.atMs, value(sample)]) };
}

/** Differences of a count that only grows, per agent and minute. */
function rates(
  title: string,
  unit: string,
  samples: readonly Sample[],
  agents: number,
  value: (sample: Sample) => number,
): Plot {
  const values = samples.slice(1).flatMap((sample, at): [number, number][] => {
    const before = samples[at];
    if (before === undefined || sample.atMs === before.atMs) return [];
    const minutes = (sample.atMs - before.atMs) / MINUTE_MS;
    return [[sample.atMs, (value(sample) - value(before)) / minutes / agents]];
  });
  return { title, unit, values };
}

function figure({ title, unit, values }: Plot): string {
  const lastMs = values.at(-1)?.[0] ?? 1;
  const most = values.reduce((max, [, value]) => Math.max(max, value), 0);
  const x = (ms: number): string => (PAD + ((WIDTH - 2 * PAD) * ms) / lastMs).toFixed(1);
  const y = (value: number): string =>
    (HEIGHT - PAD - ((HEIGHT - 2 * PAD - 14) * value) / Math.max(most, 1e-9)).toFixed(1);
  const points = values.map(([ms, value]) => `${x(ms)},${y(value)}`).join(" ");
  const label = `0 to ${most.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}, ${(lastMs / MINUTE_MS).toFixed(0)} min`;
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${label}`)}"><polyline fill="none" stroke="#1d5fa8" stroke-width="1.5" points="${points}"/><text x="${PAD}" y="14" font-size="11" fill="#56636f">${escapeHtml(label)}</text></svg></figure>`;
}

function counts(of: Readonly<Record<string, number>>): [string, string][] {
  return Object.entries(of)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => [name, String(count)]);
}
