import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { type Bar, type Figure, figure, median, rounded } from "../figure.ts";
import {
  anonymousBytes,
  cpuMs,
  type Program,
  residentBytes,
  startAgent,
  temporaryDirectory,
  until,
} from "../support/processes.ts";
import { serfMissing, startSerf } from "../support/serf.ts";
import { NodeProcess, told } from "../support/swarm.ts";

const NODES = 50;
const PROCESSES = 5;
const PUBLICATIONS = 20;
const KILLS = 3;
const LOSS = 0.15;
const LOSSY_MS = 120_000;
/** Tables that hold a third of the swarm. */
const SMALL_TABLE = 16;
const SURVEYS = 3;
const IDLE_NODES = 10;
const IDLE_MS = 60_000;
const now = (): number => performance.timeOrigin + performance.now();

/** Fifty real nodes on one machine: gossip, joining, failure detection beside serf, and what idling costs. */
export async function* run(): AsyncGenerator<Figure> {
  yield* idle();
  yield* agentMemory();
  yield* fleetView();
  using directory = temporaryDirectory();
  const swarm: NodeProcess[] = [];
  try {
    for (let at = 0; at < PROCESSES; at++)
      swarm.push(await NodeProcess.start(directory.path, NODES / PROCESSES));
    const addresses = swarm[0]?.nodes[0]?.addresses ?? [];
    for (const nodes of swarm) nodes.tell({ do: "join", addresses });
    await allKnow(swarm, NODES);
    await sleep(5_000);
    yield* gossip(swarm);
    yield await joining(swarm, directory.path, addresses);
    yield* detection(swarm, directory.path, addresses);
  } finally {
    await Promise.all(swarm.map((nodes) => nodes.stop()));
  }
}

async function allKnow(swarm: readonly NodeProcess[], wanted: number): Promise<void> {
  await until(
    `all to know ${wanted}`,
    async () => {
      const counts = (await Promise.all(swarm.map((nodes) => nodes.counts()))).flat();
      if (counts.every((count) => count === wanted)) return true;
      await sleep(200);
      return undefined;
    },
    120_000,
  );
}

/** From publishing to the arrival at 95 % of all nodes. */
async function* gossip(swarm: readonly NodeProcess[]): AsyncGenerator<Figure> {
  const times: number[] = [];
  const needed = Math.ceil((NODES - 1) * 0.95);
  for (let round = 0; round < PUBLICATIONS; round++) {
    swarm[round % PROCESSES]?.tell({ do: "publish", round });
    await sleep(1_000);
    const sentMs = told(swarm, "published").find((one) => one.round === round)?.atMs ?? 0;
    const arrivals = told(swarm, "received")
      .filter((one) => one.round === round)
      .map(({ atMs }) => atMs - sentMs)
      .sort((a, b) => a - b);
    times.push(arrivals[needed - 1] ?? Number.POSITIVE_INFINITY);
  }
  const bar: Bar = { floor: 500, goal: 500, better: "lower" };
  const common = { suite: "swarm", unit: "ms", bar };
  yield figure({ ...common, metric: "gossip to 95 % of 50, median", value: median(times) });
  yield figure({ ...common, metric: "gossip to 95 % of 50, worst", value: Math.max(...times) });
}

/** From a further node's dialling to its knowing all and all knowing it. */
async function joining(
  swarm: readonly NodeProcess[],
  directory: string,
  addresses: readonly string[],
): Promise<Figure> {
  const further = await NodeProcess.start(directory, 1);
  const startedMs = now();
  further.tell({ do: "join", addresses });
  await allKnow([...swarm, further], NODES + 1);
  const value = now() - startedMs;
  await further.stop();
  await allKnow(swarm, NODES);
  const bar: Bar = { floor: 5_000, goal: 5_000, better: "lower" };
  return figure({ suite: "swarm", metric: "joining 50, known by all", unit: "ms", value, bar });
}

function surveyed(metric: string, unit: string, value: number, bar: Bar): Figure {
  return figure({
    suite: "swarm",
    metric: `survey of 50, tables of 16, ${metric}`,
    unit,
    value,
    bar,
  });
}

/** Any of fifty nodes answers for all of them, where no table holds them. */
async function* fleetView(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const swarm: NodeProcess[] = [];
  try {
    for (let at = 0; at < PROCESSES; at++)
      swarm.push(await NodeProcess.start(directory.path, NODES / PROCESSES, SMALL_TABLE));
    for (const [at, nodes] of swarm.entries())
      nodes.tell({ do: "join", addresses: swarm[at >> 1]?.nodes[0]?.addresses ?? [] });
    await allKnow(swarm, SMALL_TABLE);
    for (const nodes of swarm.slice(0, SURVEYS)) nodes.tell({ do: "survey" });
    const surveys = await until("the surveys", () => {
      const ended = told(swarm, "survey");
      return ended.length === SURVEYS ? ended : undefined;
    });
    const least = Math.min(...surveys.map(({ found }) => found));
    yield surveyed("found", "agents", least, { floor: NODES, goal: NODES, better: "higher" });
    const most = (one: (survey: (typeof surveys)[number]) => number): number =>
      Math.max(...surveys.map(one));
    const any: Bar = { floor: Number.MAX_VALUE, goal: Number.MAX_VALUE, better: "lower" };
    yield surveyed(
      "took",
      "ms",
      most(({ tookMs }) => tookMs),
      { floor: 5_000, goal: 1_000, better: "lower" },
    );
    yield surveyed(
      "asked",
      "agents",
      most(({ asked }) => asked),
      any,
    );
    yield surveyed("bytes", "kB", most(({ bytes }) => bytes) / 1e3, any);
  } finally {
    await Promise.all(swarm.map((nodes) => nodes.stop()));
  }
}

/** A process that is killed, beside the same with serf; then both on a network that loses packets. */
async function* detection(
  swarm: readonly NodeProcess[],
  directory: string,
  addresses: readonly string[],
): AsyncGenerator<Figure> {
  const missing = serfMissing();
  if (missing !== undefined) throw new Error(missing);
  const serf = await startSerf(NODES + KILLS);
  try {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = await NodeProcess.start(directory, 1);
      victim.tell({ do: "join", addresses });
      await allKnow([...swarm, victim], NODES + 1);
      await sleep(3_000);
      ours.push(await noticed(swarm, victim));
      const doomed = serf.pop();
      const killedMs = now();
      doomed?.kill();
      await until("serf to notice", () =>
        serf.every(({ failed }) => failed.has(doomed?.name ?? "")) ? true : undefined,
      );
      const noticedMs = serf.map(({ failed }) => failed.get(doomed?.name ?? "") ?? 0);
      theirs.push(Math.max(...noticedMs) - killedMs);
    }
    yield beside("a killed one is dead for all", "ms", median(ours), median(theirs));
    yield* lossy(swarm, serf);
  } finally {
    for (const agent of serf) agent.kill();
  }
}

async function noticed(swarm: readonly NodeProcess[], victim: NodeProcess): Promise<number> {
  const id = victim.nodes[0]?.id;
  const killedMs = now();
  victim.kill();
  const deaths = (): number[] =>
    told(swarm, "change")
      .filter(({ kind, peer, atMs }) => kind === "dead" && peer === id && atMs >= killedMs)
      .map(({ atMs }) => atMs - killedMs);
  await until("ours to notice", () => (deaths().length >= NODES ? true : undefined));
  return Math.max(...deaths());
}

function iptables(...args: string[]): void {
  execFileSync("iptables", ["-w", ...args], { stdio: "pipe" });
}

/** Members that are taken for dead though they live, while the kernel drops packets of both alike. */
async function* lossy(
  swarm: readonly NodeProcess[],
  serf: Awaited<ReturnType<typeof startSerf>>,
): AsyncGenerator<Figure> {
  const rule = ["INPUT", "-i", "lo", "-m", "statistic", "--mode", "random"];
  const drop = [...rule, "--probability", String(LOSS), "-j", "DROP"];
  const failuresBefore = serf.reduce((sum, { failures }) => sum + failures, 0);
  const sinceMs = now();
  iptables("-A", ...drop);
  try {
    await sleep(LOSSY_MS);
  } finally {
    iptables("-D", ...drop);
  }
  const ours = told(swarm, "change").filter(
    ({ kind, atMs }) => kind === "dead" && atMs >= sinceMs,
  ).length;
  const theirs = serf.reduce((sum, { failures }) => sum + failures, 0) - failuresBefore;
  // One of each is added, so that none on both sides is as good as none on either.
  const ratio = (ours + 1) / (theirs + 1);
  yield {
    ...beside("false deaths in 2 min at 15 % loss", "deaths told", ours, theirs),
    ratio: rounded(ratio),
    floorOk: ratio <= 1,
    ok: ratio <= 1,
  };
}

function beside(metric: string, unit: string, ours: number, theirs: number): Figure {
  const ratio = ours / theirs;
  const bar: Bar = { floor: 1, goal: 1, better: "lower" };
  return {
    ...figure({ suite: "swarm", metric, unit, value: ratio, bar }),
    value: rounded(ours),
    peer: "serf of Debian, LAN defaults",
    peerValue: rounded(theirs),
    ratio: rounded(ratio),
  };
}

/** CPU time of ten nodes that have nothing to say, each in a process of its own. */
async function* idle(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const swarm: NodeProcess[] = [];
  try {
    for (let at = 0; at < IDLE_NODES; at++) swarm.push(await NodeProcess.start(directory.path, 1));
    const addresses = swarm[0]?.nodes[0]?.addresses ?? [];
    for (const nodes of swarm) nodes.tell({ do: "join", addresses });
    await allKnow(swarm, IDLE_NODES);
    await sleep(15_000);
    const pids = swarm.map(({ child }) => child.pid ?? 0);
    const before = pids.map(cpuMs);
    await sleep(IDLE_MS);
    const percent = pids.map((pid, at) => ((cpuMs(pid) - (before[at] ?? 0)) / IDLE_MS) * 100);
    yield figure({
      suite: "swarm",
      metric: "idle CPU of a node among ten",
      unit: "% of a core",
      value: percent.reduce((sum, value) => sum + value, 0) / percent.length,
      bar: { floor: 2, goal: 0.5, better: "lower" },
    });
  } finally {
    await Promise.all(swarm.map((nodes) => nodes.stop()));
  }
}

/** Memory of an agent that takes part in a mesh of three, beside one without. */
async function* agentMemory(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const agents: Program[] = [];
  const start = async (name: string, sets: readonly string[]): Promise<Program> => {
    const agent = await startAgent({
      data: join(directory.path, name),
      apiPort: await freePort(),
      mqttPort: await freePort(),
      sets,
    });
    agents.push(agent);
    return agent;
  };
  try {
    const without = await start("without", []);
    const port = await freePort();
    const hub = await start("hub", [`mesh.port=${port}`, "mesh.webSocketPort=0"]);
    const bootstrap = `mesh.bootstrap=["/ip4/127.0.0.1/tcp/${port}"]`;
    for (const name of ["one", "two"])
      await start(name, ["mesh.port=0", "mesh.webSocketPort=0", bootstrap]);
    await sleep(30_000);
    const samples = { with: [] as number[], without: [] as number[] };
    for (let sample = 0; sample < 20; sample++) {
      await sleep(1_000);
      samples.with.push(residentBytes(hub.pid) / 1e6);
      samples.without.push(residentBytes(without.pid) / 1e6);
    }
    const ratio = median(samples.with) / median(samples.without);
    const bar: Bar = { floor: 2.2, goal: 1.6, better: "lower" };
    yield {
      ...figure({
        suite: "swarm",
        metric: "idle memory with the mesh",
        unit: "MB",
        value: ratio,
        bar,
      }),
      value: rounded(median(samples.with)),
      peer: `the agent without (without files: ${rounded(anonymousBytes(hub.pid) / 1e6)} and ${rounded(anonymousBytes(without.pid) / 1e6)})`,
      peerValue: rounded(median(samples.without)),
      ratio: rounded(ratio),
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
  }
}
