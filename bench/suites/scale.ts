import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Bar, type Figure, figure } from "../figure.ts";
import { root } from "../support/processes.ts";

const execute = promisify(execFile);
/** Virtual hours after all have joined: enough for several rounds of everything that an idle fleet of that size does. */
const SIZES = [
  { agents: 10, hours: 1 },
  { agents: 100, hours: 0.5 },
  { agents: 1_000, hours: 0.1 },
  { agents: 10_000, hours: 0.02 },
] as const;

/** What the last line of `agent-mesh simulate` says. */
interface Summary {
  readonly agents: number;
  readonly rssBytes: number;
  readonly realMsPerVirtualS: number;
  readonly framesPerAgentMinute: number;
  readonly bytesPerAgentMinute: number;
  readonly violations: number;
}

/** What a fleet costs as it grows: traffic of each agent, and time and memory of its simulation. */
export async function* run(): AsyncGenerator<Figure> {
  let before: Summary | undefined;
  for (const { agents, hours } of SIZES) {
    const summary = await simulated(agents, hours);
    yield* traffic(summary, before);
    before = summary;
  }
  if (before !== undefined) yield* costs(before);
}

async function simulated(agents: number, hours: number): Promise<Summary> {
  const command = join(root, "bin/agent-mesh");
  const options = ["--scenario=scale", `--agents=${agents}`, `--hours=${hours}`, "--seed=1"];
  const { stdout } = await execute(command, ["simulate", ...options, "--no-shrink", "--json"]);
  const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Summary;
  if (summary.violations > 0) throw new Error(`a promise was broken: ${stdout}`);
  return summary;
}

/** How much more each agent says in a fleet of ten times as many: no more than its logarithm grows. */
function* traffic(summary: Summary, before: Summary | undefined): Generator<Figure> {
  const { agents } = summary;
  for (const [what, unit, of] of [
    ["frames", "frames/min", ({ framesPerAgentMinute }: Summary) => framesPerAgentMinute],
    ["bytes", "B/min", ({ bytesPerAgentMinute }: Summary) => bytesPerAgentMinute],
  ] as const) {
    const any: Bar = { floor: Number.MAX_VALUE, goal: Number.MAX_VALUE, better: "lower" };
    const metric = `${what} of an agent among ${agents}`;
    yield figure({ suite: "scale", metric, unit, value: of(summary), bar: any });
    if (before === undefined) continue;
    const growth = Math.log(agents) / Math.log(before.agents);
    const bar: Bar = { floor: growth, goal: growth, better: "lower" };
    const value = of(summary) / of(before);
    const grown = `${what}, ${agents} over ${before.agents} agents`;
    yield figure({ suite: "scale", metric: grown, unit: "times", value, bar });
  }
}

function* costs({ agents, rssBytes, realMsPerVirtualS }: Summary): Generator<Figure> {
  const gigabytes: Bar = { floor: 4, goal: 1.5, better: "lower" };
  const kilobytes: Bar = { floor: 400, goal: 150, better: "lower" };
  const seconds: Bar = { floor: 1, goal: 0.3, better: "lower" };
  const of = (metric: string, unit: string, value: number, bar: Bar): Figure =>
    figure({ suite: "scale", metric: `${agents} agents, ${metric}`, unit, value, bar });
  yield of("memory", "GB", rssBytes / 1e9, gigabytes);
  yield of("memory of each", "KB", rssBytes / agents / 1e3, kilobytes);
  yield of("real time for a virtual second", "s", realMsPerVirtualS / 1e3, seconds);
}
