import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { letHeapGrow } from "../../platform/node/heap-growth.ts";
import { findDivergence } from "../../simulator/run/divergence.ts";
import { reportHtml } from "../../simulator/run/report-html.ts";
import type { Scenario } from "../../simulator/run/scenario.ts";
import { shrink } from "../../simulator/run/shrink.ts";
import {
  type SimulationParts,
  type SimulationResult,
  simulate,
} from "../../simulator/run/simulation.ts";
import { bytes, duration, plural, print, printPairs } from "../output.ts";
import type { SimulateOptions } from "./options.ts";
import { ProgressLine } from "./progress-line.ts";
import { heapGrowthPercent, lackOfRoom, thisMachine } from "./room.ts";
import { commandOf } from "./scenario-source.ts";
import { Speed } from "./speed.ts";

const SHRINK_RUNS_MAX = 60;
/**
 * Bytes outside V8's heap count as part of it. Without, V8 marks all of the heap whenever 64 MB of them are new, however
 * much there is: for ten thousand agents, with 1.5 GB to mark, a third of the time.
 */
const EXTERNAL_BYTES_COUNT = "--external-memory-accounted-in-global-limit";

/** Runs one seed and tells of it. @returns the exit code */
export async function simulateOne(scenario: Scenario, options: SimulateOptions): Promise<number> {
  setFlagsFromString(EXTERNAL_BYTES_COUNT);
  const machine = thisMachine();
  for (const lack of lackOfRoom(scenario, machine)) process.stderr.write(`agent-mesh: ${lack}\n`);
  letHeapGrow(heapGrowthPercent(scenario, machine));
  const seed = options.seed ?? String(randomInt(2 ** 31));
  const { hours } = scenario;
  const faults = options.faults === undefined ? {} : { faults: options.faults };
  const command = commandOf(options, { seed, hours, ...faults });
  const parts: SimulationParts = {
    scenario,
    seed,
    ...(options.faults !== undefined && { onlyFaults: new Set(options.faults) }),
    ...(options.failFast === true && { failFast: true }),
  };
  const quiet = options.json === true;
  if (options.verify === true) return verify(parts, command, quiet);
  const progress = new ProgressLine(quiet);
  const speed = new Speed(progress);
  const result = await simulate({
    ...parts,
    onJoined: ({ clock }) => speed.begin(clock.monotonicMs()),
    onProgress: (each) => {
      progress.show(each);
      speed.note(each);
    },
  });
  const realMs = progress.end();
  if (!quiet) tell(result, realMs);
  if (options.report !== undefined) {
    writeFileSync(options.report, reportHtml(scenario, result, command));
    if (!quiet) print(`report       ${options.report}`);
  }
  if (!quiet && result.violationCount > 0 && options.shrink)
    await tellOfShrunk(parts, result, options, progress);
  const realMsPerVirtualS = speed.realMsPerVirtualS;
  print(JSON.stringify({ ...summaryOf(result, realMs), realMsPerVirtualS }));
  return result.violationCount === 0 ? 0 : 1;
}

/** @returns what the last line says of a run */
export function summaryOf(result: SimulationResult, realMs: number) {
  const { seed, agents, virtualMs, traceHash, events, violationCount, healedInMs } = result;
  return {
    seed,
    agents,
    virtualMs,
    realMs: Math.round(realMs),
    rssBytes: process.resourceUsage().maxRSS * 1_024,
    events,
    traceHash,
    ...(healedInMs !== undefined && { healedInMs }),
    ...(result.failedFast && { failedFast: true }),
    framesPerAgentMinute: result.framesPerAgentMinute,
    bytesPerAgentMinute: result.bytesPerAgentMinute,
    readings: result.readings,
    ...(result.decisions !== undefined && { decisions: result.decisions }),
    ...(result.learned !== undefined && { learned: result.learned }),
    faults: Object.values(result.faults).reduce((sum, times) => sum + times, 0),
    violations: violationCount,
    ...(violationCount > 0 && { first: result.violations[0] }),
  };
}

function tell(result: SimulationResult, realMs: number): void {
  const { readings, learned } = result;
  const faults = Object.entries(result.faults).map(([kind, times]) => `${kind} ${times}`);
  printPairs([
    ["seed", result.seed],
    ["agents", `${result.agents}, ${plural(result.starts, "start")}`],
    ["time", `${duration(result.virtualMs)} virtual in ${(realMs / 1_000).toFixed(1)} s real`],
    ["events", result.events.toLocaleString("en")],
    [
      "traffic",
      `${result.framesPerAgentMinute} frames and ${bytes(result.bytesPerAgentMinute)} per agent and minute`,
    ],
    [
      "readings",
      `${readings.acknowledged} acknowledged, ${readings.arrived} arrived, ${readings.repeats} repeats, ${readings.refused} refused`,
    ],
    ...(learned === undefined
      ? []
      : [
          [
            "learning",
            `${plural(learned.rounds, "round")} of ${plural(learned.updates, "update")}${accuracyIn(learned)}`,
          ] as const,
        ]),
    ["faults", faults.length === 0 ? "none" : faults.join(", ")],
    ["healed", healing(result)],
    ["violations", String(result.violationCount)],
  ]);
  for (const { atMs, promise, what } of result.violations)
    print(`  ${(atMs / 1_000).toFixed(3)} s  ${promise}: ${what}`);
}

function healing({ healedInMs, failedFast }: SimulationResult): string {
  if (failedFast) return "not tried: it ended at the first broken promise";
  return healedInMs === undefined ? "never" : `${duration(healedInMs)} after the last fault`;
}

function accuracyIn({ accuracy, undisturbed }: NonNullable<SimulationResult["learned"]>): string {
  if (accuracy === undefined || undisturbed === undefined) return "";
  return `, accuracy ${accuracy.toFixed(3)}, undisturbed ${undisturbed.toFixed(3)}`;
}

async function tellOfShrunk(
  parts: SimulationParts,
  failing: SimulationResult,
  options: SimulateOptions,
  progress: ProgressLine,
): Promise<void> {
  const shrunk = await shrink(
    {
      ...parts,
      run: simulate,
      runsMax: SHRINK_RUNS_MAX,
      onRun: (runs, faults) =>
        progress.note(`shrinking: run ${runs}, ${plural(faults, "fault")} left`),
    },
    failing,
  );
  progress.end();
  const { hours, faults, runs } = shrunk;
  const [first] = shrunk.result.violations;
  print(
    `shrunk to ${plural(faults.length, "fault")} in ${plural(runs, "run")}: ${first?.promise}: ${first?.what}`,
  );
  print(`  ${commandOf(options, { seed: failing.seed, hours, faults })} --no-shrink`);
}

async function verify(parts: SimulationParts, command: string, quiet: boolean): Promise<number> {
  const progress = new ProgressLine(quiet);
  let runs = 0;
  const divergence = await findDivergence(parts, (each) => {
    progress.note(`run ${++runs}`);
    return simulate(each);
  });
  progress.end();
  if (divergence === undefined) {
    if (!quiet) print(`both runs are the same: ${command}`);
    print(JSON.stringify({ seed: parts.seed, same: true }));
    return 0;
  }
  if (!quiet) {
    print(`the runs differ: ${command}`);
    print(`  one    ${divergence.one}`);
    print(`  other  ${divergence.other}`);
  }
  print(JSON.stringify({ seed: parts.seed, same: false, ...divergence }));
  return 1;
}
