import { setTimeout as delay } from "node:timers/promises";
import { empty, flipBit, leaveOrphans, type SmallDisk, tearLog } from "./disk.ts";
import { Agent } from "./parts/agent.ts";
import { attach, type Injection, straceStart, WRITE_CALLS } from "./parts/strace.ts";
import { Stuck, until } from "./parts/wait.ts";
import type { Step } from "./schedule.ts";
import type { World } from "./world.ts";

/** Makes the fault happen and mends its cause; the agent runs again when it returns. */
type Act = (world: World, step: Step, disk: SmallDisk | undefined) => Promise<void>;

const STARTS_MAX = 3;
const YEAR_MS = 365 * 86_400_000;

/** How each fault of the catalogue is done. */
export const ACTS: Readonly<Record<string, Act>> = {
  "upstream-killed": async (world, { forMs }) => {
    world.link.shut();
    await world.upstream.kill();
    await delay(forMs);
    await world.upstream.start();
    await world.observer.attach(world.upstream.port, `agent-mesh/${world.agentId}/#`);
    world.link.open();
  },
  "link-shut": async ({ link }, { forMs }) => {
    link.shut();
    await delay(forMs);
    link.open();
  },
  "link-silent": async ({ link }, { forMs }) => {
    link.silence();
    await delay(forMs);
    link.open();
  },
  "acks-lost": async ({ link }, { forMs }) => {
    link.loseAnswers();
    await delay(forMs);
    link.open();
  },
  reconnects: async ({ link }, { count }) => {
    for (let times = 0; times < count; times++) {
      link.shut();
      await delay(20);
      link.open();
      await delay(30);
    }
  },
  "agent-killed": async (world) => {
    await world.kill();
    await world.start();
  },
  "killed-at-start": async (world, { count, share }) => {
    await world.kill();
    for (let times = 0; times < 1 + (count % 3); times++) {
      world.launch();
      await delay(60 + 250 * ((share * (times + 1)) % 1));
      await world.kill();
    }
    await world.start();
  },
  "killed-at-creation": async (world, step) => {
    await startsInto(world, injection(step, "signal=KILL", step.count));
  },
  "killed-at-write": async (world, step) => {
    const pid = world.agent?.pid ?? 0;
    const tracer = await attach(pid, world.store, injection(step, "signal=KILL", step.count));
    await until("the call", () => world.agent?.ended === true, 1_000).catch(() => undefined);
    await world.kill();
    await tracer.detach();
    await world.start();
  },
  "power-cut": async (world, { share }) => {
    await world.kill();
    world.powerCut.cut(() => (share < 0.5 ? 0 : share));
    await world.start();
  },
  "torn-log": (world, { share }) => damaged(world, () => tearLog(world.store, share)),
  orphans: (world) => damaged(world, () => leaveOrphans(world.data)),
  "config-changed": async (world, { count, share }) => {
    await world.stop();
    world.sets = [
      `outbox.commitLingerMs=${count}`,
      `uplinks.0.inFlightMax=${1 + Math.floor(share * 200)}`,
      `outbox.bytesMax=${100_000_000 + count}`,
      `outbox.cacheBytesMax=${65_536 * count}`,
      `uplinks.0.protocol=${share < 0.5 ? "5" : "auto"}`,
    ];
    await world.start();
  },
  "clock-jumped": async (world, { forMs }) => {
    await world.kill();
    await world.start({
      clock: [
        [0, 86_400_000 - Date.now()],
        [400, 0],
        [400 + forMs, -3_600_000],
        [500 + forMs, YEAR_MS],
      ],
    });
    await delay(forMs);
  },
  "second-agent": async (world) => {
    const second = new Agent(world.startOptions());
    try {
      await until("the second agent to give up", () => second.ended);
    } finally {
      await second.kill();
    }
    if (second.exitCode === 0 || !second.log.includes("in use by another process"))
      throw new Stuck(`the second agent: ${second.exitCode} ${second.log}`);
  },
  "disk-full": async (_world, { forMs }, disk) => {
    const free = disk?.fill();
    await delay(forMs);
    free?.();
  },
  "disk-full-killed": async (world, { forMs, share }, disk) => {
    const free = disk?.fill();
    await delay(forMs);
    free?.();
    await delay(share * 40);
    await world.kill();
    await world.start();
  },
  "disk-full-start": async (world, _step, disk) => {
    const free = disk?.fill();
    await world.kill();
    const agent = world.launch();
    // With room neither for run.json nor for the log, the agent may give up in words.
    await until(
      "the agent to start or to give up",
      () => agent.ended || agent.mqttPort !== 0,
      3_000,
    ).catch(() => undefined);
    free?.();
    await world.kill();
    await world.start();
  },
  "sync-error": (world, step) =>
    failing(world, step, {
      call: "fdatasync",
      what: "error=EIO",
      when: `1..${1 + (step.count % 3)}`,
    }),
  "write-error": (world, step) =>
    failing(world, step, {
      call: "write",
      what: "error=ENOSPC",
      when: `1..${1 + (step.count % 4)}`,
    }),
  "current-emptied": (world) => damaged(world, () => empty(world.store, /^CURRENT$/)),
  "manifest-emptied": (world) => damaged(world, () => empty(world.store, /^MANIFEST/)),
  "log-bit-flipped": (world, { share }) =>
    damaged(world, () => flipBit(world.store, /\.log$/, share)),
  "table-bit-flipped": (world, { share }) =>
    damaged(world, () => flipBit(world.store, /\.ldb$/, share)),
  "table-emptied": (world) => damaged(world, () => empty(world.store, /\.ldb$/)),
};

function injection({ share }: Step, what: string, count: number): Injection {
  const call = WRITE_CALLS[Math.floor(share * WRITE_CALLS.length)] ?? "write";
  return { call, what, when: String(count) };
}

async function damaged(world: World, damage: () => void): Promise<void> {
  await world.kill();
  damage();
  // LevelDB may end the process over what it finds; somebody starts it again, as systemd does.
  for (let times = 1; ; times++) {
    try {
      await world.start();
      return;
    } catch (error) {
      if (times === STARTS_MAX || world.agent?.ended !== true) throw error;
      await world.kill();
    }
  }
}

/** The very first start dies at some call, or later at the latest. */
async function startsInto(world: World, injection: Injection): Promise<void> {
  const agent = world.launch({ prefix: straceStart(world.store, injection) });
  await until("the call", () => agent.ended, 800).catch(() => undefined);
  await world.kill();
  await world.start();
}

async function failing(world: World, { forMs }: Step, injection: Injection): Promise<void> {
  const tracer = await attach(world.agent?.pid ?? 0, world.store, injection);
  await delay(forMs);
  await tracer.detach();
  if (world.agent?.ended === true)
    throw new Stuck(`the agent ended over a failed write: ${world.agent.log.slice(-2_000)}`);
}
