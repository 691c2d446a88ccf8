import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure, race } from "../figure.ts";
import { lossAfterKill } from "../support/loss.ts";
import { startNatsPair } from "../support/nats-peer.ts";
import {
  type Program,
  residentBytes,
  runTool,
  startAgent,
  startMosquitto,
  temporaryDirectory,
} from "../support/processes.ts";

const MESSAGES = 100_000;
const ROUNDS = 5;
/** With a sync for each message it takes its time. */
const NATS_MESSAGES = 20_000;
const NATS_ROUNDS = 3;
const TOPIC = "sensors/bench";
const UNBOUNDED = "max_inflight_messages 1000\nmax_queued_messages 0\n";

/** A bridge that is to be compared: where to publish, and where it should come out. */
interface Road {
  readonly from: number;
  readonly to: number;
}

async function messagesPerSecond({ from, to }: Road): Promise<number> {
  return perSecond(await runTool("load.ts", from, to, TOPIC, MESSAGES), MESSAGES);
}

/** @throws Error when anything is missing, repeated or out of order */
function perSecond(load: unknown, messages: number): number {
  const { ms, received, repeated, disordered } = load as Record<string, number>;
  if (received !== messages || repeated !== 0 || disordered !== 0)
    throw new Error(`not a clean run: ${JSON.stringify(load)}`);
  return (messages * 1_000) / (ms ?? Number.NaN);
}

/**
 * QoS 1 from a publisher to a subscriber of another broker: the agent, durable, beside Mosquitto's own bridge
 * with persistence. Then both are killed in mid-stream while the far end is down.
 */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const programs: Program[] = [];
  try {
    const upstream = await freePort();
    programs.push(await startMosquitto(directory.path, UNBOUNDED, upstream));
    const agentRoad: Road = { from: await freePort(), to: upstream };
    const agent = await startAgent({
      data: join(directory.path, "agent"),
      apiPort: await freePort(),
      mqttPort: agentRoad.from,
      sets: uplinkTo(upstream),
    });
    programs.push(agent);
    const peerUpstream = await freePort();
    programs.push(await startMosquitto(directory.path, UNBOUNDED, peerUpstream));
    const peerRoad: Road = { from: await freePort(), to: peerUpstream };
    programs.push(
      await startMosquitto(
        directory.path,
        `${UNBOUNDED}${bridgeTo(peerUpstream, directory.path)}`,
        peerRoad.from,
      ),
    );
    const idleBytes = residentBytes(agent.pid);
    await messagesPerSecond(agentRoad);
    await messagesPerSecond(peerRoad);
    yield await race({
      suite: "bridge",
      metric: "QoS 1 end to end, 200 bytes, 256 in flight",
      unit: "messages/s",
      peer: "Mosquitto bridge, persistence on, autosave 1 s",
      bar: { floor: 0.7, goal: 1.3, better: "higher" },
      rounds: ROUNDS,
      ours: () => messagesPerSecond(agentRoad),
      theirs: () => messagesPerSecond(peerRoad),
    });
    yield figure({
      suite: "bridge",
      metric: "memory beyond idle after the run",
      unit: "MB",
      value: (residentBytes(agent.pid) - idleBytes) / 1e6,
      bar: { floor: 64, goal: 64, better: "lower" },
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
  yield await besideNats();
  yield* lossAfterKill({ uplinkTo, bridgeTo });
}

/** NATS syncs every message before it acknowledges it, as the agent does; its leaf feeds a stream of its hub. */
async function besideNats(): Promise<Figure> {
  using directory = temporaryDirectory();
  const upstream = await freePort();
  const from = await freePort();
  const broker = await startMosquitto(directory.path, UNBOUNDED, upstream);
  const agent = await startAgent({
    data: join(directory.path, "agent"),
    apiPort: await freePort(),
    mqttPort: from,
    sets: uplinkTo(upstream),
  });
  const nats = await startNatsPair(directory.path);
  try {
    return await race({
      suite: "bridge",
      metric: "durable end to end, 200 bytes, 256 in flight",
      unit: "messages/s",
      peer: "NATS JetStream leaf and hub, sync_interval always at the leaf",
      bar: { floor: 1, goal: 2, better: "higher" },
      rounds: NATS_ROUNDS,
      ours: () => messagesPerSecond({ from, to: upstream }),
      theirs: async () => {
        const { leafPort, hubPort } = nats;
        const load = await runTool("nats-load.ts", leafPort, hubPort, NATS_MESSAGES);
        return perSecond(load, NATS_MESSAGES);
      },
    });
  } finally {
    await nats.stop();
    await agent.stop();
    await broker.stop();
  }
}

function uplinkTo(port: number): string[] {
  return [
    "uplinks.0.name=up",
    "uplinks.0.kind=mqtt",
    `uplinks.0.url=mqtt://127.0.0.1:${port}`,
    "uplinks.0.retryMaxMs=1000",
    "mqtt.deviceReadings=false",
  ];
}

function bridgeTo(port: number, directory: string): string {
  return [
    "persistence true",
    `persistence_location ${directory}/`,
    `persistence_file bridge-${port}.db`,
    "autosave_interval 1",
    "connection up",
    `address 127.0.0.1:${port}`,
    "topic # out 1",
    "cleansession false",
    "notifications false",
    "restart_timeout 1",
    "",
  ].join("\n");
}
