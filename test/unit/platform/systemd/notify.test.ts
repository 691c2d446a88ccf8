import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { systemdServiceManager } from "../../../../src/platform/systemd/notify.ts";

/** A stand-in for `systemd-notify` that writes down what it is told, a line per call. */
function standIn(directory: string): { program: string; calls: () => string[] } {
  const program = join(directory, "systemd-notify");
  const log = join(directory, "calls");
  writeFileSync(program, `#!/bin/sh\n[ -n "$NOTIFY_SOCKET" ] && echo "$*" >> ${log}\nsleep 0.05\n`);
  chmodSync(program, 0o755);
  const calls = (): string[] =>
    existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  return { program, calls };
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error("waited 20 s in vain");
    await delay(10);
  }
}

function ignore(): void {}

const env = { PATH: process.env["PATH"], NOTIFY_SOCKET: "/run/notify" };

t.test("systemd is told, in order, by one helper at a time", async (t) => {
  const { program, calls } = standIn(t.testdir());
  const faults: string[] = [];
  const onFault = (reason: string): void => void faults.push(reason);
  const manager = systemdServiceManager({ env, pid: 1, onFault, program });
  manager.ready();
  manager.status("first");
  manager.status("3 updates\nqueued");
  manager.watchdog();
  await eventually(() => calls().length === 2);
  t.same(calls(), ["READY=1", "STATUS=3 updates queued WATCHDOG=1"]);
  manager.stopping();
  await eventually(() => calls().length === 3);
  t.equal(calls()[2], "STOPPING=1");
  t.same(faults, []);
});

t.test("a helper that is missing or fails is reported and harms nothing", async (t) => {
  const faults: string[] = [];
  const onFault = (reason: string): void => void faults.push(reason);
  const missing = systemdServiceManager({
    env,
    pid: 1,
    onFault,
    program: "/nowhere/systemd-notify",
  });
  missing.ready();
  await eventually(() => faults.length === 1);
  t.match(faults[0], /ENOENT/);
  missing.watchdog();
  await eventually(() => faults.length === 2);
});

t.test("the watchdog interval counts only for this process", async (t) => {
  const interval = (extra: Record<string, string>): number | undefined =>
    systemdServiceManager({ env: { ...env, ...extra }, pid: 42, onFault: ignore })
      .watchdogIntervalMs;
  t.equal(interval({}), undefined);
  t.equal(interval({ WATCHDOG_USEC: "30000000" }), 30_000);
  t.equal(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" }), 30_000);
  t.equal(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "41" }), undefined);
  t.equal(interval({ WATCHDOG_USEC: "soon" }), undefined);
});

t.test("without systemd nobody is told", async (t) => {
  const { program, calls } = standIn(t.testdir());
  const onFault = (reason: string): void => void t.fail(reason);
  const manager = systemdServiceManager({ env: {}, pid: 1, onFault, program });
  manager.ready();
  manager.status("x");
  manager.watchdog();
  manager.stopping();
  t.equal(manager.watchdogIntervalMs, undefined);
  t.same(calls(), []);
});
