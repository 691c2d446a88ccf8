import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { BrowserClock } from "../../src/platform/browser/browser-clock.ts";
import { BrowserRandom } from "../../src/platform/browser/browser-random.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import { PinoLogger } from "../../src/platform/pino/pino-logger.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { systemdServiceManager } from "../../src/platform/systemd/notify.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualWorld } from "../../src/simulator/virtual-platform.ts";
import { eventually } from "../support/mosquitto.ts";
import {
  clockConformance,
  hasherConformance,
  loggerConformance,
  randomConformance,
  serviceManagerConformance,
} from "./small-seams.ts";

clockConformance(t, "SystemClock", () => ({
  clock: new SystemClock(),
  pass: async (ms) => {
    await delay(ms);
  },
}));
clockConformance(t, "BrowserClock", () => ({
  clock: new BrowserClock("tab"),
  pass: async (ms) => {
    await delay(ms);
  },
}));
clockConformance(t, "VirtualClock", () => {
  const clock = new VirtualClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

t.test("SystemClock: the kernel's boot id, where there is one", async (t) => {
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  t.equal(new SystemClock().bootId, bootId);
  const bare = t.testdir();
  t.not(new SystemClock(bare).bootId, new SystemClock(bare).bootId);
});

randomConformance(t, "SystemRandom", () => new SystemRandom());
randomConformance(t, "BrowserRandom", () => new BrowserRandom());
randomConformance(t, "SeededRandom", () => new SeededRandom("a"));

t.test("SeededRandom: one seed, one story, and forks that do not disturb each other", async (t) => {
  const draw = (random: SeededRandom, count: number) =>
    Array.from({ length: count }, () => random.next());
  t.same(draw(new SeededRandom(7), 5), draw(new SeededRandom(7), 5));
  t.notSame(draw(new SeededRandom(7), 5), draw(new SeededRandom(8), 5));
  const [quiet, busy] = [new SeededRandom(7), new SeededRandom(7)];
  draw(busy, 100);
  t.equal(quiet.fork("x").next(), busy.fork("x").next());
});

loggerConformance(t, "PinoLogger", () => {
  const written: string[] = [];
  const logger = PinoLogger.create({ level: "info", write: (line) => void written.push(line) });
  return { logger, lines: () => written.map((line) => JSON.parse(line)) };
});
t.test("the simulator keeps its log", async (t) => {
  const world = new VirtualWorld("log");
  world.platform().logger.child("x").warn("said", { a: 1 });
  t.match(world.logged, [{ level: "warn", message: "said", fields: { a: 1 } }]);
});

serviceManagerConformance(t, "nobody", () =>
  systemdServiceManager({ env: {}, pid: 1, onFault: (reason) => void t.fail(reason) }),
);
serviceManagerConformance(t, "systemd, the helper missing", () =>
  systemdServiceManager({
    env: { NOTIFY_SOCKET: "/run/notify" },
    pid: 1,
    onFault: () => undefined,
    program: "/nowhere/systemd-notify",
  }),
);
t.test("systemd hears the last word of many", async (t) => {
  const directory = t.testdir();
  const program = join(directory, "systemd-notify");
  const calls = join(directory, "calls");
  writeFileSync(program, `#!/bin/sh\necho "$*" >> ${calls}\n`);
  chmodSync(program, 0o755);
  serviceManagerConformance(t, "systemd", () =>
    systemdServiceManager({
      env: { PATH: process.env["PATH"], NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "30000000" },
      pid: 1,
      onFault: (reason) => void t.fail(reason),
      program,
    }),
  );
  await eventually(() => existsSync(calls) && readFileSync(calls, "utf8").includes("STOPPING=1"));
  const last = readFileSync(calls, "utf8").trim().split("\n").at(-1) ?? "";
  t.match(last, /STATUS=line 99 and another x+ /);
  t.match(last, /WATCHDOG=1/);
});

hasherConformance(t, "Node's OpenSSL", nodeHasher);
hasherConformance(t, "the simulator's", new VirtualWorld("hash").platform().hasher);
t.test("Node's OpenSSL digests as FIPS 180-4 says", async (t) => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  t.equal(nodeHasher.sha256Hex("abc"), abc);
});
