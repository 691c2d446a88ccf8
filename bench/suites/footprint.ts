import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure, median } from "../figure.ts";
import { buildLibraries, startLibraries } from "../support/libraries.ts";
import {
  cpuMs,
  type Program,
  residentBytes,
  startAgent,
  temporaryDirectory,
} from "../support/processes.ts";

const SETTLE_MS = 15_000;
const IDLE_MS = 60_000;
const SAMPLES = 30;

/** Memory and CPU time of an agent that nothing happens to, looked at over a minute. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const bundle = buildLibraries(directory.path);
  const programs: Program[] = [];
  try {
    const agent = await startAgent({
      data: join(directory.path, "agent"),
      apiPort: await freePort(),
      mqttPort: await freePort(),
    });
    programs.push(agent);
    const libraries = await startLibraries(bundle, join(directory.path, "libraries-data"));
    programs.push(libraries);
    await sleep(SETTLE_MS);
    const usedMs = cpuMs(agent.pid);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample++) {
      await sleep(IDLE_MS / SAMPLES);
      ours.push(residentBytes(agent.pid) / 1e6);
      theirs.push(residentBytes(libraries.pid) / 1e6);
    }
    const percent = ((cpuMs(agent.pid) - usedMs) / IDLE_MS) * 100;
    const bar = { floor: 1.5, goal: 1.15, better: "lower" } as const;
    const ratio = median(ours) / median(theirs);
    yield {
      ...figure({ suite: "footprint", metric: "idle memory", unit: "MB", value: ratio, bar }),
      value: Number(median(ours).toPrecision(4)),
      peer: "bundle that only loads and opens Fastify with swagger, Aedes, MQTT.js, LevelDB",
      peerValue: Number(median(theirs).toPrecision(4)),
      ratio: Number(ratio.toPrecision(4)),
    };
    yield figure({
      suite: "footprint",
      metric: "idle CPU",
      unit: "% of a core",
      value: percent,
      bar: { floor: 1, goal: 0.3, better: "lower" },
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}
