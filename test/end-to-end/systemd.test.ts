// The packaged service under a real systemd: installed with install.sh, started, watched, stopped.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { Container, containersUnavailable, eventually } from "../support/nspawn.ts";
import { rootFilesystemTar, unpackRootFilesystem } from "../support/rootfs.ts";

const repository = resolve(import.meta.dirname, "../..");
const service = "agent-mesh.service";

t.setTimeout(600_000);

t.test("the unit", async (t) => {
  const unit = join(repository, "systemd", service);
  const analyze = (...args: string[]): string =>
    execFileSync("systemd-analyze", args, { encoding: "utf8" });
  t.match(
    analyze("security", "--offline=yes", "--threshold=20", unit),
    /Overall exposure level for agent-mesh\.service: [01]\.\d OK/,
    "is exposed to 2.0 at most",
  );
});

t.test("the service", { skip: containersUnavailable() }, async (t) => {
  const root = mkdtempSync(join(tmpdir(), "agent-mesh-nspawn-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const packages = ["systemd", "systemd-sysv", "procps"];
  const image = { architecture: "amd64", variant: "minbase", packages } as const;
  unpackRootFilesystem(rootFilesystemTar(image), root);
  execFileSync(join(repository, "systemd/install.sh"), ["--root", root], { stdio: "pipe" });
  const dropIns = join(root, "etc/systemd/system/agent-mesh.service.d");
  mkdirSync(dropIns);
  writeFileSync(join(dropIns, "test.conf"), "[Service]\nWatchdogSec=4\nRestartSec=200ms\n");

  const container = await Container.boot(root);
  t.teardown(() => container.shutDown());
  const state = (name: string): string => container.property(service, name);
  const log = (): string =>
    container.run("journalctl", "-u", service, "--no-pager", "-n", "60").stdout;
  const get = (path: string, token = ""): { status: number; body: string } => {
    const script = `const r = await fetch("http://127.0.0.1:8080${path}", {headers: {authorization: "Bearer ${token}"}}); console.log(JSON.stringify({status: r.status, body: await r.text()}))`;
    const done = container.run("/opt/agent-mesh/bin/node", "--input-type=module", "-e", script);
    return done.status === 0
      ? (JSON.parse(done.stdout) as { status: number; body: string })
      : { status: 0, body: done.stderr };
  };
  const serving = (): Promise<unknown> =>
    eventually(
      "the agent to serve",
      () => state("ActiveState") === "active" && get("/readyz").status === 200,
    );

  await t.test("verifies, starts at boot and serves", async (t) => {
    const verified = container.run("systemd-analyze", "verify", service);
    t.equal(verified.stdout + verified.stderr, "");
    t.equal(verified.status, 0);
    await serving().catch((error: unknown) => t.fail(`${String(error)}\n${log()}`));
    t.equal(state("SubState"), "running");
    t.equal(state("User"), "agent-mesh");
    t.equal(container.run("stat", "-c", "%U %a", "/var/lib/agent-mesh").stdout, "agent-mesh 700\n");
    const pid = state("MainPID");
    t.equal(container.run("stat", "-c", "%U", `/proc/${pid}`).stdout, "agent-mesh\n");
    t.notMatch(log(), /systemd-notify|EPERM|EACCES/, "nothing that it needs is forbidden");
  });

  await t.test("reads the device through the hardening", async (t) => {
    const token = container.run("cat", "/var/lib/agent-mesh/admin.token").stdout.trim();
    const { status, body } = get("/v1/resources", token);
    t.equal(status, 200);
    const { sample } = JSON.parse(body) as { sample: Record<string, { available: boolean }> };
    for (const part of ["cpu", "memory", "disk", "process", "uptimeMs"]) {
      t.equal(sample[part]?.available, true, part);
    }
    const pressure = container.run("cat", "/proc/pressure/cpu").status === 0;
    t.equal(sample["pressure"]?.available, pressure, "pressure, where the kernel has it");
  });

  await t.test("is restarted by the watchdog when it hangs", async (t) => {
    const hung = state("MainPID");
    const restarts = Number(state("NRestarts"));
    container.run("kill", "-STOP", hung);
    await eventually("a restart", () => Number(state("NRestarts")) > restarts);
    await serving();
    t.not(state("MainPID"), hung);
    t.match(log(), /Watchdog timeout/);
  });

  await t.test("is left alone by the watchdog while it works", async (t) => {
    const restarts = state("NRestarts");
    const endMs = performance.now() + 10_000;
    await eventually("two and a half watchdog intervals", () => performance.now() > endMs);
    t.equal(state("NRestarts"), restarts);
  });

  await t.test("is restarted when it is killed", async (t) => {
    const killed = state("MainPID");
    container.run("kill", "-KILL", killed);
    await eventually("a new process", () => !["0", killed].includes(state("MainPID")));
    await serving();
    t.not(state("MainPID"), killed);
  });

  await t.test("stops in order, and starts again", async (t) => {
    const startedMs = performance.now();
    t.equal(container.run("systemctl", "stop", service).status, 0);
    t.ok(performance.now() - startedMs < 20_000, "well before TimeoutStopSec");
    t.equal(state("ActiveState"), "inactive");
    t.equal(state("Result"), "success");
    t.equal(state("ExecMainStatus"), "0");
    t.equal(state("ExecMainCode"), "1", "it exited, it was not killed");
    t.equal(container.run("systemctl", "start", service).status, 0, "ready is waited for");
    t.equal(get("/readyz").status, 200);
  });

  await t.test("stays down on a configuration that cannot work", async (t) => {
    writeFileSync(join(root, "etc/agent-mesh/config.yaml"), "apii:\n  port: 8080\n");
    container.run("systemctl", "restart", service);
    await eventually("it to give up", () => state("ActiveState") === "failed");
    t.equal(state("ExecMainStatus"), "2");
    t.match(log(), /apii/, "and the journal names the key");
  });
});
