import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FAULTS } from "./catalogue.ts";
import type { SmallDisk } from "./disk.ts";
import { Stuck, until } from "./parts/wait.ts";
import type { Schedule } from "./schedule.ts";
import { ACTS } from "./steps.ts";
import { judge, type Verdict } from "./verdict.ts";
import { type Upstream, World } from "./world.ts";

/** What became of a run. */
export interface RunResult {
  readonly schedule: Schedule;
  readonly ok: boolean;
  /** Why it failed, in words. */
  readonly failure?: string;
  readonly verdict: Verdict;
  /** Acknowledged readings that damage destroyed, which the agent told. */
  readonly toldLost: number;
  /** From the end of each fault until readings were taken again, or arrived again. */
  readonly recoveries: readonly { readonly fault: string; readonly ms: number }[];
  readonly seconds: number;
  /** The data directory of a run that failed. */
  readonly kept?: string;
}

/** Faults of the road behind the agent: it is well again when readings arrive, not when they are taken. */
const BEHIND = new Set(["upstream-killed", "link-shut", "link-silent", "acks-lost", "reconnects"]);
const DESTROYING = new Set(FAULTS.filter(({ destroys }) => destroys).map(({ name }) => name));
const REFUSING = new Set(FAULTS.filter(({ refuses }) => refuses).map(({ name }) => name));
const QUIET_MS = 4_000;
const DRAIN_MS = 60_000;
const AFTERMATH_MS = 40;

/** Does what the schedule says, heals everything, and looks at what arrived. */
export async function oneRun(
  schedule: Schedule,
  places: {
    readonly root: string;
    readonly disk: SmallDisk | undefined;
    readonly upstream: Upstream;
  },
): Promise<RunResult> {
  const beginMs = performance.now();
  const world = await World.create(schedule, places.root, places.upstream);
  const recoveries: { fault: string; ms: number }[] = [];
  let failure: string | undefined;
  try {
    await act(world, places.disk, recoveries);
  } catch (error) {
    if (!(error instanceof Stuck)) {
      await world.end(false);
      throw error;
    }
    failure = error.message;
  }
  await world.publisher.stop();
  await world.kill();
  const destroyed = schedule.steps.some(({ fault }) => DESTROYING.has(fault));
  const told = destroyed && world.repairs !== "" && existsSync(join(world.data, "quarantine"));
  // What is written while the store is repaired is refused, too.
  const refusals = destroyed || schedule.steps.some(({ fault }) => REFUSING.has(fault));
  const verdict = judge(world.publisher, world.observer.arrivals, { gaps: told, refusals });
  const lost = told ? 0 : verdict.lost.length;
  failure ??= wrongs({ ...verdict, lost: told ? [] : verdict.lost });
  const ok = failure === undefined && lost === 0;
  await world.end(!ok);
  return {
    schedule,
    ok,
    ...(failure === undefined ? {} : { failure }),
    verdict: told ? { ...verdict, lost: [] } : verdict,
    toldLost: told ? verdict.lost.length : 0,
    recoveries,
    seconds: (performance.now() - beginMs) / 1_000,
    ...(ok ? {} : { kept: world.data }),
  };
}

async function act(
  world: World,
  disk: SmallDisk | undefined,
  recoveries: { fault: string; ms: number }[],
): Promise<void> {
  const { schedule, publisher, link, observer } = world;
  if (schedule.upstream) link.open();
  const [first] = schedule.steps;
  if (first?.fault !== "killed-at-creation") await world.start();
  publisher.start();
  for (const step of schedule.steps) {
    await delay(step.beforeMs);
    const doIt = ACTS[step.fault];
    if (doIt === undefined) throw new Error(`nobody knows how to do ${step.fault}`);
    await doIt(world, step, disk);
    const behind = BEHIND.has(step.fault);
    const count = () => (behind ? observer.arrivals.length : publisher.acknowledged.size);
    const before = count();
    const what = behind ? "readings to arrive" : "readings to be taken";
    const ms = await until(`${what} after ${step.fault}`, () => count() > before);
    recoveries.push({ fault: step.fault, ms });
  }
  // The backlog has to drain with no new publish.
  await publisher.stop();
  link.open();
  await drained(world);
}

/** Waits until everything acknowledged has arrived, or nothing comes any more. */
async function drained(world: World): Promise<void> {
  const { publisher, observer } = world;
  const arrived = new Set<number>();
  let seen = 0;
  let lastMs = performance.now();
  const complete = (): boolean => {
    for (; seen < observer.arrivals.length; seen++) {
      arrived.add(Number.parseInt(observer.arrivals[seen]?.payload ?? "", 10));
      lastMs = performance.now();
    }
    return [...publisher.acknowledged].every((number) => arrived.has(number));
  };
  const still = (ms: number): boolean => performance.now() - lastMs > ms;
  const arrivedOrQuiet = () => complete() || still(QUIET_MS);
  await until("the backlog to drain", arrivedOrQuiet, DRAIN_MS);
  const isEmpty = async () => {
    const queue = await world.agent?.queue();
    return queue === undefined ? still(QUIET_MS) : queue.updates === 0;
  };
  try {
    await until("the queue to be empty", isEmpty, 2 * QUIET_MS);
    // What the publisher left behind may still have been on its way to the disk.
    await delay(AFTERMATH_MS);
    await until("the queue to be empty", isEmpty, 2 * QUIET_MS);
  } catch (error) {
    const [queue, uplinks] = [await world.agent?.queue(), await world.agent?.uplinks()];
    throw new Stuck(`the queue does not drain: ${JSON.stringify(queue)} ${uplinks}`, {
      cause: error,
    });
  }
}

function wrongs(verdict: Verdict): string | undefined {
  const parts = (["lost", "duplicates", "wrong", "disordered", "overtaken"] as const)
    .filter((name) => verdict[name].length > 0)
    .map((name) => `${verdict[name].length} ${name} (${verdict[name].slice(0, 3).join(", ")})`);
  return parts.length === 0 ? undefined : parts.join(", ");
}
