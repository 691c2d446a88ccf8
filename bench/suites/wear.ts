import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure, rounded } from "../figure.ts";
import { PAYLOAD_BYTES } from "../support/mqtt-wire.ts";
import {
  deviceBytesWritten,
  runTool,
  startAgent,
  startMosquitto,
  temporaryDirectory,
} from "../support/processes.ts";

const TOPIC = "sensors/wear";
const SETTLE_MS = 3_000;

const PAGE_BYTES = 4_096;

/** One way of sending readings. */
interface Traffic {
  readonly what: string;
  readonly messages: number;
  readonly perSecond?: number;
  readonly sets?: readonly string[];
  /** What it is held to: the payload, or, where readings come one by one, a page of flash for each sync. */
  readonly beside: "payload" | "pages";
}

const BARS = {
  payload: { floor: 3, goal: 2.2, better: "lower" },
  pages: { floor: 2, goal: 1.5, better: "lower" },
} as const;

const traffics: readonly Traffic[] = [
  { what: "as fast as they come", messages: 300_000, beside: "payload" },
  {
    what: "as fast as they come, uncompressed",
    messages: 300_000,
    sets: ["outbox.compress=false"],
    beside: "payload",
  },
  { what: "1,000 a second", messages: 10_000, perSecond: 1_000, beside: "pages" },
  { what: "100 a second", messages: 1_000, perSecond: 100, beside: "pages" },
  {
    what: "100 a second, commits linger 1 s",
    messages: 1_000,
    perSecond: 100,
    sets: ["outbox.commitLingerMs=1000"],
    beside: "payload",
  },
];

/** What the kernel sends to the disk for the agent, over the payload of the readings. */
export async function* run(): AsyncGenerator<Figure> {
  for (const traffic of traffics) {
    using directory = temporaryDirectory();
    const upstream = await freePort();
    const config = "max_inflight_messages 1000\nmax_queued_messages 0\n";
    const broker = await startMosquitto(directory.path, config, upstream);
    const mqttPort = await freePort();
    const apiPort = await freePort();
    const data = join(directory.path, "agent");
    const agent = await startAgent({
      data,
      apiPort,
      mqttPort,
      sets: [
        "uplinks.0.name=up",
        "uplinks.0.kind=mqtt",
        `uplinks.0.url=mqtt://127.0.0.1:${upstream}`,
        "mqtt.deviceReadings=false",
        ...(traffic.sets ?? []),
      ],
    });
    try {
      // The reserve file beside the store is written once, after the start.
      await setTimeout(SETTLE_MS);
      const before = deviceBytesWritten(agent.pid);
      const syncsBefore = await syncsOf(data, apiPort);
      const rate = traffic.perSecond === undefined ? [] : [traffic.perSecond];
      await runTool("fill.ts", mqttPort, TOPIC, traffic.messages, ...rate);
      const bytes = deviceBytesWritten(agent.pid) - before;
      const syncs = (await syncsOf(data, apiPort)) - syncsBefore;
      const payloadBytes = traffic.messages * PAYLOAD_BYTES;
      const pageBytes = syncs * PAGE_BYTES;
      const ratio = bytes / (traffic.beside === "pages" ? pageBytes : payloadBytes);
      const judged = figure({
        suite: "wear",
        metric: `written to the disk over payload, delivered, ${traffic.what}`,
        unit: "×",
        value: ratio,
        bar: BARS[traffic.beside],
      });
      yield traffic.beside === "payload"
        ? judged
        : {
            ...judged,
            value: rounded(bytes / payloadBytes),
            peer: "a page of 4 KiB for each sync",
            peerValue: rounded(pageBytes / payloadBytes),
            ratio: rounded(ratio),
          };
    } finally {
      await agent.stop();
      await broker.stop();
    }
  }
}

async function syncsOf(data: string, apiPort: number): Promise<number> {
  const token = readFileSync(join(data, "admin.token"), "utf8").trim();
  const response = await fetch(`http://127.0.0.1:${apiPort}/v1/queue`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { written } = (await response.json()) as { written: { syncs: number } };
  return written.syncs;
}
