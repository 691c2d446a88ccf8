/**
 * Installs what the tests need beyond npm, where it may: as root on a Debian machine. Elsewhere it says
 * which tests will be skipped, and the line that would install what they need.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";

interface Tool {
  /** Any of these programs will do. */
  readonly programs: readonly string[];
  readonly packages: readonly string[];
  /** A command that only works where all of it is there. */
  readonly proof?: readonly string[];
  /** The tests that are skipped without it. */
  readonly tests: string;
}

const tools: readonly Tool[] = [
  { programs: ["mosquitto"], packages: ["mosquitto"], tests: "upstream broker, crash and outage" },
  {
    programs: ["mosquitto_pub"],
    packages: ["mosquitto-clients"],
    tests: "publishing with Mosquitto's own client",
  },
  {
    programs: ["chromium", "chromium-browser", "google-chrome"],
    packages: ["chromium"],
    tests: "the web page",
  },
  {
    programs: ["systemd-nspawn"],
    packages: ["systemd-container"],
    tests: "the service under systemd",
  },
  {
    programs: ["mmdebstrap"],
    packages: ["mmdebstrap"],
    tests: "the service under systemd, the arm64 image",
  },
  { programs: ["buildah"], packages: ["buildah"], tests: "the arm64 image" },
  { programs: ["qemu-aarch64-static"], packages: ["qemu-user-static"], tests: "the arm64 image" },
  { programs: ["nats-server"], packages: ["nats-server"], tests: "the NATS JetStream uplink" },
  { programs: ["ip"], packages: ["iproute2"], tests: "network partitions" },
  {
    programs: ["python3"],
    packages: ["python3", "python3-venv"],
    proof: ["python3", "-c", "import ensurepip, venv"],
    tests: "a gRPC client in another language",
  },
  {
    programs: ["go"],
    packages: ["golang-go"],
    tests: "go-libp2p as a neighbour; any version will do, it fetches the one that is needed",
  },
  { programs: ["iptables"], packages: ["iptables"], tests: "lossy networks" },
  { programs: ["strace"], packages: ["strace"], tests: "crashes at every system call" },
  { programs: ["openssl"], packages: ["openssl"], tests: "TLS" },
];

const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];

function isInstalled(program: string): boolean {
  return places.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian takes some programs apart: what is there may lack what is needed of it. */
function proves(proof: readonly string[] | undefined): boolean {
  const [program, ...args] = proof ?? [];
  return program === undefined || spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

function missingTools(): Tool[] {
  return tools.filter(({ programs, proof }) => !programs.some(isInstalled) || !proves(proof));
}

/** Debian starts a freshly installed broker; on its port it would stand in the way of the agent. */
const policy = "/usr/sbin/policy-rc.d";

function aptInstall(packages: readonly string[]): string {
  const ours = !existsSync(policy);
  if (ours) {
    mkdirSync("/usr/sbin", { recursive: true });
    writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args: string[]): { status: number | null; stderr: string } =>
    spawnSync("apt-get", ["-q", "-y", ...args], { env, encoding: "utf8", timeout: 900_000 });
  try {
    const install = ["install", "--no-install-recommends", ...packages];
    let done = apt(...install);
    if (done.status !== 0) {
      // Package lists may be missing or out of date.
      apt("update");
      done = apt(...install);
    }
    for (const service of ["mosquitto", "nats-server"])
      if (done.status === 0 && packages.includes(service) && isInstalled("systemctl"))
        spawnSync("systemctl", ["disable", `${service}.service`], { stdio: "ignore" });
    return done.status === 0 ? "" : done.stderr.trim();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

function main(): number {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) {
    console.log(
      "Usage: node scripts/test-tools.ts\n\nInstalls with apt-get what the tests need, where it may.",
    );
    return 0;
  }
  let missing = missingTools();
  if (missing.length === 0) return 0;
  const packages = [...new Set(missing.flatMap((tool) => tool.packages))];
  if (process.getuid?.() === 0 && isInstalled("apt-get")) {
    console.log(`test-tools: installing ${packages.join(", ")}`);
    const fault = aptInstall(packages);
    if (fault !== "")
      console.log(`test-tools: apt-get failed: ${fault.split("\n").slice(-3).join(" ")}`);
    missing = missingTools();
    if (missing.length === 0) return 0;
  }
  for (const { programs, tests } of missing) {
    console.log(`test-tools: without ${programs[0]} these tests are skipped: ${tests}`);
  }
  const wanted = [...new Set(missing.flatMap((tool) => tool.packages))].join(" ");
  console.log(`test-tools: to run them: sudo apt-get install --no-install-recommends ${wanted}`);
  if (process.env["CI"] !== "true") return 0;
  console.error("test-tools: with CI=true every test has to run");
  return 1;
}

process.exitCode = main();
