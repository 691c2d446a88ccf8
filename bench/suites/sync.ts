import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure } from "../figure.ts";
import { PAYLOAD_BYTES } from "../support/mqtt-wire.ts";
import {
  httpStatus,
  Program,
  root,
  runTool,
  startAgent,
  temporaryDirectory,
  until,
} from "../support/processes.ts";

/** Updates that the receiver has already, and those that it lacks. */
const KNOWN = 10_000;
const LACKING = 500;
const TOPIC = "sensors/boiler";
const own = ["mqtt.deviceReadings=false", "agent.id=bench"];

/**
 * An agent whose acknowledgements were lost reconnects over HTTPS: bytes on the wire, both ways, over the payload
 * that the receiver lacks. TCP's own headers are not counted, since no socket tells of them.
 */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const at = (name: string): string => join(directory.path, name);
  const port = await freePort();
  const words = ["receive", "--data", at("receiver"), "--listen", `127.0.0.1:${port}`];
  const receiver = new Program(join(root, "bin/agent-mesh"), words);
  try {
    await until("the receiver", async () =>
      (await httpStatus(`http://127.0.0.1:${port}/healthz`)) === 200 ? true : undefined,
    );
    const uplink = (...more: string[]): string[] => {
      const token = readFileSync(join(at("receiver"), "admin.token"), "utf8").trim();
      const url = `url=http://127.0.0.1:${port}/v1/updates`;
      const sets = ["name=up", "kind=https", url, `token=${token}`, ...more];
      return sets.map((set) => `uplinks.0.${set}`);
    };

    await take(at("agent"), KNOWN);
    cpSync(at("agent"), at("delivered"), { recursive: true });
    await deliver(at("delivered"), uplink());
    await take(at("agent"), LACKING);
    for (const name of ["gzip", "off"]) cpSync(at("agent"), at(name), { recursive: true });
    const difference = LACKING * PAYLOAD_BYTES;
    const gzip = await deliver(at("gzip"), uplink());
    // It does not matter to the bytes that the receiver has everything by now.
    const off = await deliver(at("off"), uplink("sync=off"));
    const what = `reconnect over HTTPS (gzip), ${LACKING} of ${KNOWN + LACKING} waiting readings are new`;
    yield {
      ...figure({
        suite: "sync",
        metric: `${what}: wire bytes both ways over their payload`,
        unit: "ratio",
        value: gzip / difference,
        bar: { floor: 1.2, goal: 1.05, better: "lower" },
      }),
      peer: "the same with sync: off, everything sent again",
      peerValue: Number((off / difference).toPrecision(4)),
      ratio: Number((gzip / off).toPrecision(4)),
    };
    await take(at("alone"), LACKING);
    const alone = await deliver(at("alone"), [...uplink(), "agent.id=alone"]);
    yield {
      ...figure({
        suite: "sync",
        metric: `${what}: wire bytes both ways over those of an agent that has only the new ones`,
        unit: "ratio",
        value: gzip / alone,
        bar: { floor: 1.2, goal: 1.05, better: "lower" },
      }),
      peer: "an agent with only the new ones, in bytes",
      peerValue: alone,
    };
  } finally {
    await receiver.stop();
  }
}

/** Takes readings that nobody delivers yet. */
async function take(data: string, count: number): Promise<void> {
  const mqttPort = await freePort();
  const agent = await startAgent({ data, apiPort: await freePort(), mqttPort, sets: own });
  await runTool("fill.ts", mqttPort, TOPIC, count);
  await agent.stop();
}

/** Delivers everything. @returns bytes on the wire both ways */
async function deliver(data: string, sets: readonly string[]): Promise<number> {
  const apiPort = await freePort();
  const mqttPort = await freePort();
  const agent = await startAgent({ data, apiPort, mqttPort, sets: [...own, ...sets] });
  const token = readFileSync(join(data, "admin.token"), "utf8").trim();
  const get = async <Document>(path: string): Promise<Document> => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${apiPort}${path}`, { headers });
    return (await response.json()) as Document;
  };
  await until("an empty queue", async () =>
    (await get<{ updates: number }>("/v1/queue")).updates === 0 ? true : undefined,
  );
  const { items } = await get<{ items: { wireBytes: number }[] }>("/v1/uplinks");
  await agent.stop();
  return items[0]?.wireBytes ?? Number.NaN;
}
