// The command line of the built agent: help, JSON, exit codes, with an agent and without one.
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { scenarios } from "../../src/simulator/run/scenario.ts";
import { AgentProcess, agentMesh, command, type Outcome, until } from "../support/agent-process.ts";
import { RudeClient, rawPublish } from "../support/bad-input-mqtt.ts";

t.setTimeout(600_000);

/** Every command, with the options that its help must name. */
const SOURCE = ["--config", "--set", "--json"];
const REST = ["--data", "--url", "--token-file", "--json"];
const PAGE = [...REST, "--limit", "--cursor"];
const commands: Readonly<Record<string, readonly string[]>> = {
  "": [
    "run",
    "receive",
    "status",
    "doctor",
    "device",
    "fleet",
    "mesh",
    "relay",
    "roles",
    "consensus",
    "task",
    "trail",
    "queue",
    "config",
    "token",
    "mqtt",
    "learn",
    "simulate",
    "version",
  ],
  run: [...SOURCE, "--data", "--profile"],
  receive: [
    "--listen",
    "--data",
    "--token-file",
    "--mqtt",
    "--nats",
    "--forward-to",
    "--keep-bytes",
    "--json",
  ],
  simulate: [
    ...Object.keys(scenarios),
    "--scenario",
    "--agents",
    "--hours",
    "--intensity",
    "--seed",
    "--seeds",
    "--jobs",
    "--faults",
    "--no-shrink",
    "--verify",
    "--report",
    "--json",
  ],
  learn: ["start", "tasks", "status", "watch", "pause", "resume", "stop", "predict", "data", "lab"],
  "learn serving": ["<task>", ...REST],
  "learn alerts": REST,
  "learn versions": ["<task>", ...REST],
  "learn promote": ["<task>", "<round>", ...REST],
  "learn pin": ["<task>", "<round>", ...REST],
  "learn rollback": ["<task>", ...REST],
  "learn unpin": ["<task>", ...REST],
  "learn labels": ["<task>", ...REST],
  "learn label": ["<task>", "--from", "--to", "--class", "--note", ...REST],
  "learn unlabel": ["<task>", "<id>", ...REST],
  "learn start": ["<file>", "--set", "--watch", "--set rounds=5", ...REST],
  "learn tasks": REST,
  "learn status": ["[task]", ...REST],
  "learn watch": ["<task>", "Ctrl-C", ...REST],
  "learn pause": ["<task>", ...REST],
  "learn resume": ["<task>", ...REST],
  "learn stop": ["<task>", ...REST],
  "learn predict": ["<task>", "--input", "--model", "--input samples.csv", ...REST],
  "learn data": ["list", "fetch", "split"],
  "learn data split": ["<dataset>", "--out", "--parts", "--by", "--alpha", "--seed", "--json"],
  "learn data list": ["--into", "--json"],
  "learn data fetch": ["<name...>", "--into", "--again", "--json"],
  "learn lab": [
    "<file>",
    "--seed",
    "--data",
    "--out",
    "--jobs",
    "--only",
    "--rounds",
    "--list",
    "--json",
  ],
  status: REST,
  doctor: [...SOURCE, "--data", "--root"],
  device: ["--root", "--data", "--profile", "--json"],
  queue: ["status", "list", "flush", "pause", "resume", "dead-letters"],
  "queue status": REST,
  "queue list": [...PAGE, "--stream"],
  "queue flush": REST,
  "queue pause": REST,
  "queue resume": REST,
  "queue dead-letters": ["list", "requeue", "delete"],
  "queue dead-letters list": PAGE,
  "queue dead-letters requeue": ["<id>", ...REST],
  "queue dead-letters delete": ["<id>", ...REST],
  config: ["check", "show", "schema"],
  "config check": SOURCE,
  "config show": SOURCE,
  "config schema": ["--json"],
  token: ["create", "list", "revoke"],
  "token create": ["--name", "--scope", "--expires", ...REST],
  "token list": REST,
  "token revoke": ["<id>", ...REST],
  fleet: [...REST, "--state", "--all"],
  mesh: [
    "status",
    "peers",
    "join",
    "unlink",
    "grant",
    "bans",
    "ban",
    "unban",
    "roles",
    "audit",
    "network-key",
  ],
  "mesh status": REST,
  "mesh peers": REST,
  "mesh join": ["<address...>", ...REST],
  "mesh unlink": ["<peer>", ...REST],
  "mesh grant": ["issue", "list", "revoke", "export", "import"],
  "mesh grant issue": ["<peer>", "--role", "--permission", "--expires", ...REST],
  "mesh grant list": REST,
  "mesh grant revoke": ["<id>", ...REST],
  "mesh grant export": ["<id>", ...REST],
  "mesh grant import": ["file", ...REST],
  "mesh bans": REST,
  "mesh ban": ["<peer>", "--reason", "--for", ...REST],
  "mesh unban": ["<peer>", ...REST],
  "mesh roles": REST,
  "mesh audit": ["--limit", "--verify", ...REST],
  "mesh network-key": ["--json"],
  relay: REST,
  bridge: ["status", "certificate"],
  "bridge status": REST,
  "bridge certificate": [...SOURCE, "--data", "--request", "--days", "--name", "--out"],
  consensus: [
    "status",
    "propose",
    "list",
    "show",
    "vote",
    "cancel",
    "decisions",
    "verify",
    "found",
  ],
  "consensus status": REST,
  "consensus propose": ["<topic>", "<value>", "--expires", "--wait", ...REST],
  "consensus list": REST,
  "consensus show": ["<id>", "--wait", ...REST],
  "consensus vote": ["<id>", "<vote>", "--reason", ...REST],
  "consensus cancel": ["<id>", ...REST],
  "consensus decisions": PAGE,
  "consensus verify": ["<file>", ...REST],
  "consensus found": REST,
  task: ["submit", "list", "show", "cancel", "watch"],
  "task submit": ["<kind>", "--input", "--need", "--deadline", "--method", "--watch", ...REST],
  "task list": [...PAGE, "--state", "--kind"],
  "task show": ["<id>", ...REST],
  "task cancel": ["<id>", ...REST],
  "task watch": ["<id>", ...REST],
  trail: ["list", "deposit", "choose"],
  "trail list": ["--limit", "--prefix", ...REST],
  "trail deposit": ["<trail>", ...REST],
  "trail choose": ["<trails...>", ...REST],
  mqtt: ["hash-password"],
  "mqtt hash-password": ["--json"],
  version: ["--json"],
};

/** Words of a command line, ended by blanks. */
function run(line: string, env: Record<string, string> = {}): Promise<Outcome> {
  return agentMesh(line === "" ? [] : line.split(" "), { env });
}

/** Two at a time: each is a process of its own. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 2) await Promise.all(items.slice(at, at + 2).map(work));
}

t.test("every command has help that names its options", async (t) => {
  await each(Object.entries(commands), async ([command, options]) => {
    const { code, stdout, stderr } = await run(`${command} --help`.trim());
    t.equal(code, 0, `${command} --help: ${stderr}`);
    t.notMatch(stdout, /\{"|\[object/, "defaults are shown as they are typed");
    t.match(stdout, `Usage: agent-mesh ${command}`.trim());
    for (const option of options) t.match(stdout, option, `${command} names ${option}`);
    const listed = stdout.split("\nCommands:\n")[1] ?? "";
    const named = [...listed.matchAll(/^ {2}([a-z][a-z-]+)/gm)].map(([, name = ""]) => name);
    const known = Object.keys(commands).map((path) => path.split(" ").at(-1));
    t.same(
      named.filter((name) => name !== "help" && !known.includes(name)),
      [],
      `${command || "agent-mesh"} has no command that is not tested here`,
    );
  });
});

t.test("a reader that goes away is no error", async (t) => {
  const script = '{ "$0" config schema; echo "ended with $?" >&2; } | head -c 1 >/dev/null';
  const { stderr } = spawnSync("sh", ["-c", script, command], { encoding: "utf8" });
  t.equal(stderr, "ended with 0\n");
});

t.test("what is no command, option or argument ends with 2 and a hint", async (t) => {
  const table: [line: string, told: RegExp][] = [
    ["", /Usage: agent-mesh/],
    ["runn", /unknown command 'runn'[^]*run/],
    ["run --confg x", /unknown option '--confg'[^]*--config/],
    ["run extra", /too many arguments/],
    ["queue", /Usage: agent-mesh queue/],
    ["queue empty", /unknown command 'empty'/],
    ["queue list --limit", /'--limit <n>' argument missing/],
    ["queue dead-letters", /Usage: agent-mesh queue dead-letters/],
    ["queue dead-letters requeue", /missing required argument 'id'/],
    ["config", /Usage: agent-mesh config/],
    ["config show --nope", /unknown option '--nope'/],
    ["config check --set api.prot=1", /api\.prot is not known; did you mean port\?/],
    ["token create", /--name/],
    ["token create --name a --scope root", /viewer, operator, admin/],
    ["token create --name a --expires soon", /12h/],
    ["device --root /nowhere", /--root/],
    ["device --profile pi-9", /raspberry-pi-4/],
    ["version extra", /too many arguments/],
  ];
  await each(table, async ([line, told]) => {
    const { code, stdout, stderr } = await run(line);
    t.equal(code, 2, `agent-mesh ${line}`);
    t.match(stderr, told);
    t.equal(stdout, "", "nothing that a script could take for an answer");
    t.notMatch(stderr, /\n\s+at |node:internal/);
  });
});

t.test("without an agent, what needs one says how to start it", async (t) => {
  const data = join(t.testdir(), "data");
  const rest = Object.keys(commands).filter((name) => commands[name]?.includes("--url"));
  const words = {
    "<peer>": " 12D3KooWnobody",
    "<address...>": " /ip4/127.0.0.1/tcp/1",
    "<topic>": " maintenance",
    "<value>": " 1",
    "<task>": " some-task",
    "<id>": " 7",
    "<vote>": " accept",
    "<file>": " nowhere",
    "<kind>": " describe",
    "<trail>": " north",
    "<trails...>": " north south",
    "<round>": " 1",
    "--from": " --from 0",
    "--to": " --to 1",
    "--class": " --class 1",
    "--name": " --name a",
    "--input": " --input 1",
    "--reason": " --reason a",
  };
  const lines = rest.map((name) =>
    Object.entries(words).reduce(
      (line, [option, more]) => (commands[name]?.includes(option) ? line + more : line),
      name,
    ),
  );
  await each(lines, async (line) => {
    const { code, stdout, stderr } = await run(`${line} --json --data ${data}`);
    t.equal(code, 1, line);
    t.match(stderr, /^agent-mesh: no agent runs with the data directory .*agent-mesh run --data/);
    t.equal(stdout, "");
  });
  const agent = await AgentProcess.start(t, data);
  await agent.kill();
  const dead = await run(`status --data ${data}`);
  t.equal(dead.code, 1);
  t.match(dead.stderr, /no agent answers at http.*agent-mesh run/, "killed, its run.json left");
  const elsewhere = await run(`status --data ${data} --url http://127.0.0.1:1`);
  t.match(elsewhere, { code: 1, stderr: /no agent answers at http:\/\/127\.0\.0\.1:1 / });
});

t.test("with an agent, every command answers, in JSON where it is asked to", async (t) => {
  const data = join(t.testdir(), "data");
  const topics = 'mqtt.topics=[{"filter":"json/#","format":"json"},{"filter":"sensors/#"}]';
  const agent = await AgentProcess.start(t, data, ["agent.id=pi", topics]);
  const client = await RudeClient.connected(agent.mqttPort);
  for (const [topic, payload] of [
    ["sensors/a", "1"],
    ["json/a", "{"],
    ["json/b", "{"],
  ] as const) {
    client.raw(rawPublish(Buffer.from(topic), Buffer.from(payload)));
    t.same((await client.answer()).packets, ["puback 0"]);
  }
  client.close();
  const answer = async (line: string, code = 0): Promise<unknown> => {
    const done = await run(line);
    t.equal(done.code, code, `${line}: ${done.stderr}`);
    t.equal(done.stderr, "", line);
    return JSON.parse(done.stdout) as unknown;
  };
  const ask = (line: string): Promise<unknown> => answer(`${line} --json --data ${data}`);
  t.match(await ask("status"), { ready: true, url: agent.api, device: { agentId: "pi" } });
  t.match(await ask("doctor"), { findings: [{ subject: "configuration", outcome: "ok" }] });
  t.match(await ask("device"), { identity: { architecture: String }, profile: { id: String } });
  t.match(await ask("queue status"), { updates: 1, deadLetters: 2, paused: false });
  t.match(await ask("queue list"), { items: [{ id: "pi/sensors/a/1" }] });
  t.match(await ask("queue list --stream nobody"), { items: [] });
  t.match(await ask("queue pause"), { paused: true, updates: 1 });
  t.match(await ask("queue resume"), { paused: false });
  t.match(await ask("queue flush"), { paused: false });
  const letters = (await ask("queue dead-letters list")) as { items: { id: string }[] };
  const [first, second] = letters.items.map(({ id }) => id);
  t.match(await ask(`queue dead-letters requeue ${first}`), { requeued: true });
  t.match(await ask(`queue dead-letters delete ${second}`), { deleted: true });
  t.match(await ask("queue status"), { updates: 2, deadLetters: 0 });
  const created = await ask("token create --name wall --scope viewer --expires 12h");
  const { token, id } = created as { token: string; id: string };
  t.match(await ask("token list"), { items: [{}, {}] });
  const asViewer = await run(`queue pause --json --data ${data}`, { AGENT_MESH_TOKEN: token });
  t.match(asViewer, { code: 1, stdout: "", stderr: /operator.*\(auth\.scope\)/ });
  t.match(await ask(`token revoke ${id}`), { revoked: true });
  const revoked = await run(`queue status --data ${data}`, { AGENT_MESH_TOKEN: token });
  t.match(revoked, { code: 1, stderr: /auth\.unknown/ });
  const missing = await run(`queue dead-letters delete ${second} --json --data ${data}`);
  t.match(missing, { code: 1, stdout: "", stderr: /dead-letter\.not-found/ });
  t.match(await ask("consensus status"), { enabled: false, standing: "none" });
  t.match(await ask("consensus list"), { items: [] });
  t.match(await ask("consensus decisions"), { items: [] });
  const off = await run(`consensus propose maintenance 1 --data ${data}`);
  t.match(off, { code: 1, stderr: /consensus\.off|takes no part/ });
  t.match(await ask("task list"), { items: [] });
  t.match(await ask("trail list"), { items: [] });
  t.match(await answer("config check --json"), { ok: true });
  t.match(await answer("config show --json --set api.port=0"), { api: { port: 0 } });
  t.match(await answer("config schema --json"), { properties: { outbox: { type: "object" } } });
  t.match(await answer("version --json"), { version: String, node: /^24\./ });
  await plainWords(t, data);
});

/** Without --json: something to read, and nothing on stderr. */
async function plainWords(t: Test, data: string): Promise<void> {
  const fixture = resolve(import.meta.dirname, "../fixtures/devices/pi-5");
  const table: [line: string, told: RegExp][] = [
    [`status --data ${data}`, /pi .*ready/s],
    [`queue status --data ${data}`, /2 updates/],
    [`queue list --data ${data}`, /pi\/sensors\/a\/1/],
    [`queue dead-letters list --data ${data}`, /no dead letters/],
    [`token list --data ${data}`, /admin/],
    [`device --root ${fixture}`, /Raspberry Pi 5/],
    ["config show", /^outbox:$/m],
    ["version", /^agent-mesh \d/],
    ["--version", /^\d+\.\d+\.\d+\n$/],
  ];
  await each(table, async ([line, told]) => {
    t.match(await run(line), { code: 0, stdout: told, stderr: "" }, line);
  });
}

t.test("an agent says on stdout nothing, and on stderr only JSON lines", async (t) => {
  const agent = await AgentProcess.start(t, join(t.testdir(), "data"));
  await until("the start to be logged", () => agent.log.includes("agent started"));
  t.equal((await agent.stop()).code, 0);
  const lines = agent.log.trim().split("\n");
  t.ok(lines.every((line) => typeof JSON.parse(line) === "object"));
});
