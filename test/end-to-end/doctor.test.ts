// `agent-mesh doctor` names each planted breakage, and how to mend it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { eventually } from "../support/nspawn.ts";

const repository = resolve(import.meta.dirname, "../..");
const program = join(repository, "bin/agent-mesh");

t.setTimeout(600_000);

interface Finding {
  subject: string;
  outcome: string;
  detail: string;
  fix?: string;
}

interface Report {
  status: number | null;
  findings: Finding[];
  broken: Finding[];
  of: (subject: string) => Finding | undefined;
}

function doctor(...args: string[]): Report {
  const free = ["--set", "api.port=0", "--set", "mqtt.broker.port=0"];
  const done = spawnSync(program, ["doctor", "--json", ...free, ...args], { encoding: "utf8" });
  const { findings } = JSON.parse(done.stdout || `{"findings":[]}`) as { findings: Finding[] };
  return {
    status: done.status,
    findings,
    broken: findings.filter(({ outcome }) => outcome === "fail"),
    of: (subject) => findings.find((finding) => finding.subject === subject),
  };
}

async function agent(data: string): Promise<{ stop: (signal: NodeJS.Signals) => Promise<void> }> {
  const args = ["run", "--data", data, "--set", "api.port=0", "--set", "mqtt.broker.port=0"];
  const child = spawn(program, args, { stdio: "ignore" });
  const closed = new Promise<void>((done) => child.on("close", () => done()));
  await eventually(
    "the agent",
    () => existsSync(join(data, "run.json")) || child.exitCode !== null,
  );
  return {
    stop: async (signal) => {
      child.kill(signal);
      await closed;
    },
  };
}

t.test("a sound installation", async (t) => {
  const data = join(t.testdir(), "data");
  const before = doctor("--data", data);
  t.same(before.broken, [], "before the first start");
  t.equal(before.status, 0);
  t.notOk(existsSync(data), "looking makes nothing");
  const running = await agent(data);
  const during = doctor("--data", data);
  t.same(during.broken, [], "while the agent works");
  t.match(during.of("store")?.detail, /running agent.*ready/);
  await running.stop("SIGTERM");
  const after = doctor("--data", data);
  t.same(after.broken, [], "afterwards");
  t.match(after.of("store"), { outcome: "ok", detail: /opens/ });
  const text = spawnSync(program, ["doctor", "--data", data], { encoding: "utf8" }).stdout;
  t.match(text, /ok {4}store/);
});

t.test("a killed agent's run.json misleads nobody", async (t) => {
  const data = join(t.testdir(), "data");
  const running = await agent(data);
  await running.stop("SIGKILL");
  t.ok(existsSync(join(data, "run.json")));
  const { of, broken } = doctor("--data", data);
  t.same(broken, []);
  t.match(of("store"), { outcome: "ok", detail: /opens/ });
});

t.test("planted breakages", async (t) => {
  const directory = t.testdir();
  const data = join(directory, "data");
  const first = await agent(data);
  await first.stop("SIGTERM");

  const names = (t: Test, report: Report, subject: string, detail: RegExp, fix: RegExp): void => {
    t.equal(report.status, 1, `${subject}: exit code`);
    t.match(report.of(subject), { outcome: "fail", detail, fix });
  };

  await t.test("configuration", async (t) => {
    const config = join(directory, "config.yaml");
    writeFileSync(config, "api:\n  prot: 8080\n");
    names(
      t,
      doctor("--data", data, "--config", config),
      "configuration",
      /api\.prot[\s\S]*port/,
      /correct the keys/,
    );
    const missing = doctor("--data", data, "--config", join(directory, "none.yaml"));
    names(t, missing, "configuration", /none\.yaml/, /./);
    const upsideDown = ["--set", "power.celsius.saving.leave=99"];
    const power = doctor("--data", data, ...upsideDown);
    names(t, power, "power policy", /saving\.leave is 99; it must be below/, /change one/);
    for (const setting of [upsideDown, ["--set", "device.profile=abacus"]]) {
      const run = spawnSync(program, ["run", "--data", data, ...setting], { encoding: "utf8" });
      t.equal(run.status, 2, "the service is not started again and again");
    }
  });

  await t.test("data directory", async (t) => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    names(t, doctor("--data", file), "data directory", /not a directory/, /--data/);
    chmodSync(data, 0o755);
    t.match(doctor("--data", data).of("data directory"), {
      outcome: "warn",
      fix: `chmod 700 ${data}`,
    });
    chmodSync(data, 0o700);
  });

  await t.test(
    "files of another user in it",
    { skip: process.getuid?.() !== 0 && "needs root" },
    async (t) => {
      execFileSync("chown", ["12345", join(data, "admin.token")]);
      names(t, doctor("--data", data), "data directory", /admin\.token/, /chown -R --reference/);
      execFileSync("chown", ["0", join(data, "admin.token")]);
    },
  );

  await t.test(
    "a read-only file system",
    { skip: process.getuid?.() !== 0 && "needs root" },
    async (t) => {
      const mount = join(directory, "read-only");
      mkdirSync(mount);
      execFileSync("mount", ["-t", "tmpfs", "-o", "ro,size=1m", "none", mount]);
      t.teardown(() => execFileSync("umount", [mount]));
      names(t, doctor("--data", mount), "data directory", /not writable/, /remount,rw/);
    },
  );

  await t.test("a full disk", { skip: process.getuid?.() !== 0 && "needs root" }, async (t) => {
    const mount = join(directory, "full");
    mkdirSync(mount);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=700", "none", mount]);
    t.teardown(() => execFileSync("umount", [mount]));
    names(t, doctor("--data", mount), "disk", /MB free/, /free some space/);
  });

  await t.test("first token", async (t) => {
    const token = join(data, "admin.token");
    chmodSync(token, 0o644);
    names(t, doctor("--data", data), "first token", /mode 0644/, /chmod 600/);
    chmodSync(token, 0o600);
  });

  await t.test("store", async (t) => {
    const current = join(data, "store/CURRENT");
    const sound = readFileSync(current, "utf8");
    writeFileSync(current, "nonsense");
    const repaired = doctor("--data", data).of("store");
    t.match(repaired, { outcome: "warn", detail: /damaged.*repaired/, fix: /quarantine/ });
    t.not(readFileSync(current, "utf8"), sound, "it is whole again");
    t.equal(doctor("--data", data).of("store")?.outcome, "ok");
  });

  await t.test("ports", async (t) => {
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", () => done()));
    t.teardown(() => other.close());
    const { port } = other.address() as AddressInfo;
    const taken = doctor("--data", data, "--set", `api.port=${port}`);
    names(t, taken, `port ${port}`, /taken by another/, /ss -ltnp.*api\.port/);
    const broker = doctor("--data", data, "--set", `mqtt.broker.port=${port}`);
    names(t, broker, `port ${port}`, /taken by another/, /mqtt\.broker\.port/);
    const nowhere = doctor(
      "--data",
      data,
      "--set",
      "api.host=203.0.113.9",
      "--set",
      "api.port=8099",
    );
    names(t, nowhere, "port 8099", /no address of this device/, /api\.host/);
  });

  await t.test("brokers", async (t) => {
    const client = [
      "--set",
      "mqtt.broker.embedded=false",
      "--set",
      "mqtt.connect.url=mqtt://127.0.0.1:1",
    ];
    names(
      t,
      doctor("--data", data, ...client),
      "MQTT broker",
      /can not be reached/,
      /mqtt\.connect\.url/,
    );
    const config = join(directory, "uplink.yaml");
    const uplink = (lines: string): string[] => {
      writeFileSync(config, `uplinks:\n  - name: main\n    kind: mqtt\n${lines}`);
      return ["--data", data, "--config", config];
    };
    const unknown = doctor(...uplink("    url: mqtt://no-such-host.invalid:1883\n"));
    names(t, unknown, "uplink main", /no-such-host\.invalid is not known/, /DNS/);
    const certificate = join(directory, "old.pem");
    const [key, request] = [join(directory, "old.key"), join(directory, "old.csr")];
    const openssl = (...args: string[]): Buffer => execFileSync("openssl", args, { stdio: "pipe" });
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl("req", ...curve, "-subj", "/CN=old", "-keyout", key, "-out", request);
    openssl("x509", "-req", "-in", request, "-signkey", key, "-days", "-1", "-out", certificate);
    const tls = (file: string): string[] =>
      uplink(`    url: mqtts://127.0.0.1:1\n    tls:\n      caFile: ${file}\n`);
    names(t, doctor(...tls(certificate)), "uplink main", /expired/, /uplinks\.0\.tls\.caFile/);
    const absent = doctor(...tls(join(directory, "absent.pem")));
    names(t, absent, "uplink main", /absent\.pem can not be used/, /uplinks\.0\.tls\.caFile/);
  });

  await t.test("service", async (t) => {
    const root = join(directory, "root");
    mkdirSync(join(root, "run/systemd/system"), { recursive: true });
    mkdirSync(join(root, "etc/systemd/system"), { recursive: true });
    mkdirSync(join(root, "sys/fs/cgroup"), { recursive: true });
    const unit = readFileSync(join(repository, "systemd/agent-mesh.service"), "utf8");
    const installed = join(root, "etc/systemd/system/agent-mesh.service");
    writeFileSync(
      installed,
      unit.replace("WatchdogSec=30", "WatchdogSec=0").replace("MemoryMax=512M", "MemoryMax=64M"),
    );
    writeFileSync(join(root, "sys/fs/cgroup/cgroup.controllers"), "cpuset cpu io memory pids\n");
    const budget = ["--set", "budget.memoryBytesMax=268435456"];
    const changed = doctor("--data", data, "--root", root, ...budget);
    t.match(changed.of("service unit"), { outcome: "warn", fix: /drop-in/ });
    t.match(changed.of("service at boot"), { outcome: "warn", fix: /systemctl enable/ });
    t.match(changed.of("memory limit"), { outcome: "warn", fix: /budget\.memoryBytesMax/ });
    t.match(changed.of("clock"), { outcome: "warn", fix: /timedatectl set-ntp/ });
    writeFileSync(join(root, "sys/fs/cgroup/cgroup.controllers"), "cpuset cpu io pids\n");
    t.match(doctor("--data", data, "--root", root).of("memory limit"), {
      fix: /cgroup_enable=memory/,
    });
    writeFileSync(installed, unit);
    t.equal(doctor("--data", data, "--root", root).of("service unit")?.outcome, "ok");
  });

  await t.test("an incomplete copy of the program", async (t) => {
    const copy = join(directory, "copy");
    mkdirSync(copy);
    execFileSync("cp", ["-r", join(repository, "dist"), join(repository, "bin"), copy]);
    execFileSync("ln", ["-s", join(repository, "node_modules"), join(copy, "node_modules")]);
    rmSync(join(copy, "dist/page"), { recursive: true });
    rmSync(join(copy, "dist/native", `classic-level-linux-${process.arch}.node`));
    const args = ["doctor", "--json", "--data", join(directory, "fresh")];
    const done = spawnSync(join(copy, "bin/agent-mesh"), args, { encoding: "utf8" });
    t.equal(done.status, 1);
    const { findings } = JSON.parse(done.stdout) as { findings: Finding[] };
    const of = (subject: string): Finding | undefined =>
      findings.find((finding) => finding.subject === subject);
    t.match(of("program files"), { outcome: "fail", detail: /page\/index\.html/, fix: /install/ });
    t.match(of("database addon"), { outcome: "fail", fix: /install again/ });
  });
});
