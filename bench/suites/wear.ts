import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { type Figure, figure } from "../figure.ts";
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

/** One way of sending readings. */
interface Traffic {
  readonly what: string;
  readonly messages: number;
  readonly perSecond?: number;
  readonly sets?: readonly string[];
  readonly floor: number;
  readonly goal: number;
}

/** A lone reading costs a page of flash; what shares a commit shares its pages. */
const traffics: readonly Traffic[] = [
  { what: "as fast as they come, delivered", messages: 300_000, floor: 3, goal: 2.2 },
  {
    what: "as fast as they come, delivered, uncompressed",
    messages: 300_000,
    sets: ["outbox.compress=false"],
    floor: 3,
    goal: 2.2,
  },
  { what: "1,000 a second, delivered", messages: 10_000, perSecond: 1_000, floor: 40, goal: 40 },
  { what: "100 a second, delivered", messages: 1_000, perSecond: 100, floor: 40, goal: 40 },
  {
    what: "100 a second, commits linger 1 s",
    messages: 1_000,
    perSecond: 100,
    sets: ["outbox.commitLingerMs=1000"],
    floor: 3,
    goal: 2.2,
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
    const agent = await startAgent({
      data: join(directory.path, "agent"),
      apiPort: await freePort(),
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
      const rate = traffic.perSecond === undefined ? [] : [traffic.perSecond];
      await runTool("fill.ts", mqttPort, TOPIC, traffic.messages, ...rate);
      const bytes = deviceBytesWritten(agent.pid) - before;
      yield figure({
        suite: "wear",
        metric: `written to the disk over payload, ${traffic.what}`,
        unit: "×",
        value: bytes / (traffic.messages * PAYLOAD_BYTES),
        bar: { floor: traffic.floor, goal: traffic.goal, better: "lower" },
      });
    } finally {
      await agent.stop();
      await broker.stop();
    }
  }
}
