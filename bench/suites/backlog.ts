import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure, race } from "../figure.ts";
import {
  anonymousBytes,
  type Program,
  residentBytes,
  runTool,
  startAgent,
  startMosquitto,
  startSink,
  temporaryDirectory,
  until,
} from "../support/processes.ts";

const BACKLOG = 1_000_000;
/** What the bare publisher sends for comparison: enough for a steady rate. */
const BARE = 300_000;
const TOPIC = "sensors/backlog";
const RESTARTS = 7;

/** A million readings that waited through an outage: starting with them, and sending them. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const programs: Program[] = [];
  const data = join(directory.path, "agent");
  const sets = ["mqtt.deviceReadings=false", "outbox.bytesMax=1073741824"];
  try {
    await fill(data, sets);
    yield await restarts(directory.path, data, sets);

    const upstream = await freePort();
    const config = "max_inflight_messages 1000\nmax_queued_messages 0\n";
    programs.push(await startMosquitto(directory.path, config, upstream));
    const bare = async (): Promise<number> => {
      const sink = await startSink(upstream, TOPIC, BARE);
      await runTool("fill.ts", upstream, TOPIC, BARE);
      const { ms } = await sink.done;
      return (BARE * 1_000) / ms;
    };
    const before = await bare();
    const sink = await startSink(upstream, TOPIC, BACKLOG);
    const agent = await startAgent({
      data,
      apiPort: await freePort(),
      mqttPort: await freePort(),
      sets: [...sets, ...uplink(upstream)],
    });
    programs.push(agent);
    const memory = watchMemory(agent.pid);
    const { ms, repeated, disordered } = await sink.done;
    if (repeated + disordered > 0)
      throw new Error(`not clean: ${repeated} repeated, ${disordered} out of order`);
    const most = memory.stop();
    const idle = await idleMemory(directory.path, sets);
    const after = await bare();
    const rate = (BACKLOG * 1_000) / ms;
    const peerRate = (before + after) / 2;
    yield {
      ...figure({
        suite: "backlog",
        metric: `draining ${BACKLOG} readings of 200 bytes, end to end`,
        unit: "messages/s",
        value: rate / peerRate,
        bar: { floor: 0.5, goal: 0.9, better: "higher" },
      }),
      value: Math.round(rate),
      peer: "bare publisher to the same Mosquitto, before and after",
      peerValue: Math.round(peerRate),
      ratio: Math.round((rate / peerRate) * 1_000) / 1_000,
    };
    yield figure({
      suite: "backlog",
      metric: "most memory while draining, beyond an idle agent",
      unit: "MB",
      value: (most.resident - idle.resident) / 1e6,
      bar: { floor: 30, goal: 30, better: "lower" },
    });
    yield figure({
      suite: "backlog",
      metric: "of that, without pages of files",
      unit: "MB",
      value: (most.anonymous - idle.anonymous) / 1e6,
      bar: { floor: 30, goal: 30, better: "lower" },
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}

function uplink(port: number): string[] {
  return [
    "uplinks.0.name=up",
    "uplinks.0.kind=mqtt",
    `uplinks.0.url=mqtt://127.0.0.1:${port}`,
    "uplinks.0.retryMaxMs=1000",
  ];
}

/** Nobody listens at port 9: an outage. */
async function fill(data: string, sets: readonly string[]): Promise<void> {
  const mqttPort = await freePort();
  const agent = await startAgent({ data, apiPort: await freePort(), mqttPort, sets });
  await runTool("fill.ts", mqttPort, TOPIC, BACKLOG);
  await agent.stop();
}

async function restarts(directory: string, data: string, sets: readonly string[]): Promise<Figure> {
  const start = async (path: string): Promise<Program> =>
    startAgent({ data: path, apiPort: await freePort(), mqttPort: await freePort(), sets });
  const timed = async (path: string): Promise<number> => {
    const killed = await start(path);
    await killed.stop("SIGKILL");
    const startedMs = performance.now();
    const agent = await start(path);
    const tookMs = performance.now() - startedMs;
    // A store that died soon after it was opened, twice in a row, would be looked through: that is not timed here.
    await agent.stop();
    return tookMs;
  };
  const empty = join(directory, "empty");
  await timed(empty);
  await timed(data);
  return race({
    suite: "backlog",
    metric: `launch to /readyz with ${BACKLOG} queued, after kill -9`,
    unit: "ms",
    peer: "the same agent with an empty outbox",
    bar: { floor: 2, goal: 1.2, better: "lower" },
    rounds: RESTARTS,
    ours: () => timed(data),
    theirs: () => timed(empty),
  });
}

interface Memory {
  readonly resident: number;
  readonly anonymous: number;
}

function memoryOf(pid: number): Memory {
  return { resident: residentBytes(pid), anonymous: anonymousBytes(pid) };
}

/** Looks every 20 ms. */
function watchMemory(pid: number): { stop(): Memory } {
  let most = memoryOf(pid);
  const look = (): void => {
    const { resident, anonymous } = memoryOf(pid);
    most = {
      resident: Math.max(most.resident, resident),
      anonymous: Math.max(most.anonymous, anonymous),
    };
  };
  const timer = setInterval(look, 20);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return most;
    },
  };
}

/** What an agent takes that has started, connected to nothing, and has nothing to do. */
async function idleMemory(directory: string, sets: readonly string[]): Promise<Memory> {
  const agent = await startAgent({
    data: join(directory, "idle"),
    apiPort: await freePort(),
    mqttPort: await freePort(),
    sets,
  });
  const startedMs = performance.now();
  await until("a few quiet seconds", () =>
    performance.now() - startedMs > 3_000 ? true : undefined,
  );
  const memory = memoryOf(agent.pid);
  await agent.stop();
  return memory;
}
