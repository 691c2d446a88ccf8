// What can not be started says which setting is wrong and what to do, ends with the right code, loses nothing.
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { AgentProcess, agentMesh, type CommandOptions } from "../support/agent-process.ts";

const FREE = ["--set", "api.port=0", "--set", "mqtt.broker.port=0"];
const BAD_SETTINGS = 2;
const FAILED = 1;

t.setTimeout(600_000);

interface Refusal {
  readonly code: number;
  /** All of them must be in what is told. */
  readonly told: readonly (string | RegExp)[];
}

/** Runs the agent, which must refuse. @returns what it told */
async function refused(
  t: Test,
  words: readonly string[],
  { code, told }: Refusal,
  options: CommandOptions = {},
): Promise<void> {
  const outcome = await agentMesh(["run", ...words], options);
  t.equal(outcome.code, code, `exit code of ${words.join(" ")}: ${outcome.stderr}`);
  for (const expected of told) t.match(outcome.stderr, expected, "what is told");
  t.match(outcome.stderr, /^agent-mesh: /, "in our words");
  t.notMatch(outcome.stderr, /\n\s+at |node:internal/, "no stack trace");
  t.equal(outcome.stdout, "");
}

t.test("settings that can not be used", async (t) => {
  const directory = t.testdir({
    "broken.yaml": "api:\n  port: 8080\n bad: [\n",
    "self.yaml": "api: &a\n  port: *a\n",
    "unknown.yaml": "outbox:\n  bytesMx: 100000\n",
    "type.yaml": "mqtt:\n  broker:\n    port: many\n",
    "list.yaml": "- api\n",
    "twice.yaml": "api: {port: 1}\napi: {port: 2}\n",
    "binary.yaml": Buffer.from([0xff, 0xfe, 0, 1, 2, 3]),
    "huge.yaml": `# ${"x".repeat(1_100_000)}\n`,
  });
  const data = join(directory, "data");
  const file = (name: string): string[] => ["--config", join(directory, name)];
  const set = (text: string): string[] => ["--set", text];
  const table: [words: string[], told: Refusal["told"], env?: Record<string, string>][] = [
    [file("broken.yaml"), [/broken\.yaml:3:1: /]],
    [file("self.yaml"), [/self\.yaml: an alias/]],
    [file("unknown.yaml"), ["unknown.yaml", "outbox.bytesMx is not known; did you mean bytesMax?"]],
    [file("type.yaml"), ["type.yaml", "mqtt.broker.port must be integer"]],
    [file("list.yaml"), ["list.yaml", "it must hold keys and values"]],
    [file("twice.yaml"), [/twice\.yaml:2:1: .*unique/]],
    [file("binary.yaml"), ["binary.yaml"]],
    [file("huge.yaml"), ["huge.yaml", /1\d{6} bytes; settings files may have 1048576/]],
    [file("missing.yaml"), [/missing\.yaml can not be read: there is no such file/]],
    [["--config", directory], ["it is a directory"]],
    [set("api.port"), ['"api.port" is not key=value']],
    [set("api.prot=1"), ["--set api.prot", "api.prot is not known; did you mean port?"]],
    [set("api.port=70000"), ["--set api.port", /api\.port must be <= 65535/]],
    [set("__proto__.x=1"), ['"__proto__" can not be a key']],
    [set("mqtt.broker.embedded=false"), ["mqtt.connect.url is missing"]],
    [set("mqtt.topics.0.filter=a/#/b"), [/mqtt\.topics\.0\.filter: .*# stands alone/]],
    [set("uplinks.0.url=http://cloud"), ["uplinks.0.kind is missing: one of mqtt, https, nats"]],
    [
      [...set("uplinks.0.kind=mqtt"), ...set("uplinks.0.url=http://cloud")],
      ["uplinks.0.name is missing", /uplinks\.0\.url .*mqtt:/],
    ],
    [set("outbox.updateBytesMax=16000000"), [], { AGENT_MESH__OUTBOX__BYTES_MAX: "65536" }],
    [
      ["--profile", "pi-9"],
      ["device.profile", "pi-9", "raspberry-pi-4"],
    ],
    [[], ["AGENT_MESH__API__PORT", "api.port must be integer"], { AGENT_MESH__API__PORT: "web" }],
    [[], ["AGENT_MESH__OUTBX__X", "did you mean outbox?"], { AGENT_MESH__OUTBX__X: "1" }],
    [[], ["nowhere.yaml"], { AGENT_MESH_CONFIG: join(directory, "nowhere.yaml") }],
  ];
  const one = async ([words, told, env = {}]: (typeof table)[number]): Promise<void> => {
    const all = ["--data", data, ...(words[0] === "--profile" ? FREE : []), ...words];
    await refused(t, all, { code: BAD_SETTINGS, told }, { env });
  };
  // Two at a time: each is a process of its own.
  for (let at = 0; at < table.length; at += 2) await Promise.all(table.slice(at, at + 2).map(one));
});

/** Without it the configuration would be refused before anybody listens. */
const OPEN = ["--set", "mqtt.broker.anonymous.allow=true"];

t.test("addresses that can not be had", async (t) => {
  const data = join(t.testdir(), "data");
  const taken = createServer();
  await new Promise<void>((done) => {
    taken.listen(0, "127.0.0.1", done);
  });
  t.teardown(() => new Promise((done) => taken.close(done)));
  const { port } = taken.address() as AddressInfo;
  const table: [set: string, told: Refusal["told"]][] = [
    [`api.port=${port}`, [`port ${port} is taken`, "set api.port"]],
    [`mqtt.broker.port=${port}`, [`MQTT port ${port}`, "set mqtt.broker.port"]],
    ["api.host=192.0.2.1", ["no address 192.0.2.1", "set api.host"]],
    ["mqtt.broker.host=192.0.2.1", ["mqtt.broker.host", "192.0.2.1"]],
  ];
  for (const [set, told] of table)
    await refused(t, ["--data", data, ...FREE, ...OPEN, "--set", set], { code: FAILED, told });
  const agent = await AgentProcess.start(t, data);
  t.equal((await agent.stop()).code, 0, "the same directory serves once the setting is mended");
});

t.test("data directories that can not be used", async (t) => {
  const directory = t.testdir({ file: "in the way", bad: { "agent-id": "no id!\n" } });
  const at = (path: string): string[] => ["--data", join(directory, path), ...FREE];
  const told = (reason: string): Refusal => ({ code: FAILED, told: [reason, "--data"] });
  await refused(t, at("file"), told("it is not a directory"));
  await refused(t, at("file/below"), told("part of its path is a file"));
  await refused(t, ["--data", "/proc/here", ...FREE], told("/proc/here can not be used"));
  await refused(t, at("bad"), { code: FAILED, told: ["agent-id", "set agent.id"] });
  t.equal(readFileSync(join(directory, "file"), "utf8"), "in the way");
  mkdirSync(join(directory, "closed"));
  await refused(t, at("closed"), told("can not be used"), closedTo(join(directory, "closed")));

  const agent = await AgentProcess.start(t, join(directory, "data"));
  const run = readFileSync(join(directory, "data/run.json"), "utf8");
  await refused(t, at("data"), told("in use by another process"));
  t.equal(readFileSync(join(directory, "data/run.json"), "utf8"), run, "the first one's stays");
  t.ok((await agent.ask("/readyz")).ok, "and it goes on");
  t.equal((await agent.stop()).code, 0);
});

t.test("killed while it starts for the first time, it starts all the same", async (t) => {
  const directory = t.testdir({ empty: { "agent-id": "", "run.json": "", "store.reserve": "" } });
  const emptied = await AgentProcess.start(t, join(directory, "empty"));
  t.match(readFileSync(join(directory, "empty/agent-id"), "utf8"), /^[\w-]+-[0-9a-f]{8}\n$/);
  t.equal((await emptied.stop()).code, 0);
  for (let times = 1; times <= 6; times++) {
    const data = join(directory, `data-${times}`);
    // Starting takes some 200 ms on a desktop: these fall before, between and after its files.
    await AgentProcess.killedAfter(data, times * 45);
    const agent = await AgentProcess.start(t, data);
    t.equal((await agent.ask("/v1/queue")).status, 200, "its first token is there and works");
    t.equal((await agent.stop()).code, 0);
  }
});

/** Root may write anywhere but where the file system itself is read-only. */
function closedTo(path: string): CommandOptions {
  if (process.getuid?.() !== 0) {
    chmodSync(path, 0o500);
    return {};
  }
  const script = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"`;
  return { prefix: ["unshare", "--mount", "sh", "-c", script, path] };
}
