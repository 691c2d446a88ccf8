import { join } from "node:path";
import mqtt from "mqtt";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure } from "../figure.ts";
import {
  type Program,
  startAgent,
  startMosquitto,
  temporaryDirectory,
  until,
} from "./processes.ts";

const MESSAGES = 10_000;
const TOPIC = "sensors/loss";

/** How the two bridges are told where to send. */
interface Bridges {
  readonly uplinkTo: (port: number) => string[];
  readonly bridgeTo: (port: number, directory: string) => string;
}

/** Publishes in mid-stream, counts what was acknowledged, and kills the bridge the moment enough was. */
async function publishAndKill(port: number, bridge: Program): Promise<Set<number>> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  client.on("error", () => undefined);
  const acknowledged = new Set<number>();
  await new Promise<void>((done) => {
    let next = 0;
    const publish = (): void => {
      const number = next++;
      client.publish(TOPIC, String(number), { qos: 1 }, (error) => {
        if (error !== undefined && error !== null) return;
        acknowledged.add(number);
        if (acknowledged.size === MESSAGES) done();
        else publish();
      });
    };
    for (let window = 0; window < 256; window++) publish();
  });
  await bridge.stop("SIGKILL");
  client.end(true);
  return acknowledged;
}

/** @returns how many of the acknowledged messages never came out, and how many came more than once. */
async function lostOf(
  acknowledged: ReadonlySet<number>,
  upstream: number,
  restart: () => Promise<unknown>,
): Promise<{ lost: number; repeated: number }> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${upstream}`);
  const seen = new Map<number, number>();
  let lastMs = performance.now();
  client.on("message", (topic, payload) => {
    if (!topic.endsWith(TOPIC)) return;
    const number = Number(payload.toString());
    seen.set(number, (seen.get(number) ?? 0) + 1);
    lastMs = performance.now();
  });
  await client.subscribeAsync("#", { qos: 1 });
  await restart();
  lastMs = performance.now();
  // All there, or silence for long enough to believe that nothing more will come.
  await until("the stream to end", () => {
    const missing = [...acknowledged].filter((number) => !seen.has(number)).length;
    return missing === 0 || performance.now() - lastMs > 8_000 ? true : undefined;
  });
  await client.endAsync();
  const lost = [...acknowledged].filter((number) => !seen.has(number)).length;
  const repeated = [...seen.values()].filter((times) => times > 1).length;
  return { lost, repeated };
}

/** Kill -9 in mid-stream with the far end down: what of the acknowledged messages is gone. */
export async function* lossAfterKill({ uplinkTo, bridgeTo }: Bridges): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const programs: Program[] = [];
  const keep = (program: Program): Program => {
    programs.push(program);
    return program;
  };
  try {
    const ours = { from: await freePort(), upstream: await freePort(), api: await freePort() };
    const start = () =>
      startAgent({
        data: join(directory.path, "agent"),
        apiPort: ours.api,
        mqttPort: ours.from,
        sets: uplinkTo(ours.upstream),
      });
    const acknowledged = await publishAndKill(ours.from, await start());
    const receiver = `max_queued_messages 0\n`;
    keep(await startMosquitto(directory.path, receiver, ours.upstream));
    const us = await lostOf(acknowledged, ours.upstream, async () => keep(await start()));

    const peer = { from: await freePort(), upstream: await freePort() };
    const config = `max_queued_messages 0\n${bridgeTo(peer.upstream, directory.path)}`;
    const startPeer = () => startMosquitto(directory.path, config, peer.from);
    const peerAcknowledged = await publishAndKill(peer.from, await startPeer());
    keep(await startMosquitto(directory.path, receiver, peer.upstream));
    const them = await lostOf(peerAcknowledged, peer.upstream, async () => keep(await startPeer()));

    const lossless = { floor: 0, goal: 0, better: "lower" } as const;
    yield {
      ...figure({
        suite: "bridge",
        metric: `lost of ${MESSAGES} acknowledged, killed in mid-stream, far end down`,
        unit: "messages",
        value: us.lost,
        bar: lossless,
      }),
      peer: "Mosquitto bridge, persistence on, autosave 1 s",
      peerValue: them.lost,
    };
    yield figure({
      suite: "bridge",
      metric: "repeated after that kill",
      unit: "messages",
      value: us.repeated,
      bar: lossless,
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}
