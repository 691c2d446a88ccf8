// A gateway of a cluster and a mesh of devices, each agent a process of its own: the two have no way to each other but
// the connection that one device keeps.
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { openMeshNode, publishOverBridges } from "../../src/mesh/production.ts";
import { type BridgeError, toBridgeError } from "../../src/platform/bridge.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { BridgeProgram } from "../support/bridge-program.ts";
import { Authority } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { clientOf, messageOf } from "../support/grpc-door.ts";
import { generatePython, grpcPython, runPython } from "../support/grpc-python.ts";

t.setTimeout(300_000);

const MESH = ["mesh.port=0", 'mesh.transports=["tcp"]'];

interface Status {
  readonly gateways: { state: string; attached: number; reason?: string; retryInMs?: number }[];
  readonly links: { peerId?: string }[];
  readonly counters: { refusals: Record<string, number> };
}

const json = (value: unknown): string => JSON.stringify(value);
const runInfo = (agent: AgentProcess) =>
  JSON.parse(readFileSync(join(agent.data, "run.json"), "utf8")) as {
    grpc?: { url: string };
    mesh: { peerId: string; addresses: string[] };
  };

async function tokenOf(agent: AgentProcess, scope: string): Promise<string> {
  const admin = readFileSync(join(agent.data, "admin.token"), "utf8").trim();
  const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
  const body = json({ name: scope, scope });
  const response = await agent.ask("/v1/tokens", { method: "POST", headers, body });
  return ((await response.json()) as { token: string }).token;
}

/** A cluster with a gateway, and a mesh of two devices, the first of which is attached; the library's node is a third. */
async function landscape(t: Test) {
  const directory = t.testdir();
  const authority = new Authority(directory);
  const { cert, key } = authority.issue("127.0.0.1", "gateway");
  const port = await freePort();
  const gatewaySettings = [
    ...MESH,
    "agent.id=gateway",
    "bridge.listen.enabled=true",
    `bridge.listen.port=${port}`,
    `bridge.listen.tls=${json({ certFile: cert, keyFile: key })}`,
  ];
  const startGateway = () => AgentProcess.start(t, join(directory, "gateway"), gatewaySettings);
  const gateway = await startGateway();
  const operator = await tokenOf(gateway, "operator");
  const tokenFile = join(directory, "bridge.token");
  writeFileSync(tokenFile, `${operator}\n`);
  const url = runInfo(gateway).grpc?.url ?? "";
  const one = await AgentProcess.start(t, join(directory, "one"), [
    ...MESH,
    "agent.id=pi-1",
    "bridge.retryMinMs=100",
    "bridge.retryMaxMs=500",
    `bridge.connect=${json([
      { name: "cloud", url, tokenFile, tls: { caFile: authority.file }, tasks: ["describe"] },
    ])}`,
    `bridge.topicsUp=${json([
      { filter: "news", prefix: "site-1/" },
      { filter: "plant/#", prefix: "site-1/" },
    ])}`,
    `bridge.topicsDown=${json([{ filter: "commands/#", prefix: "site-1/" }])}`,
  ]);
  const bootstrap = runInfo(one).mesh.addresses;
  const two = await AgentProcess.start(t, join(directory, "two"), [
    ...MESH,
    "agent.id=pi-2",
    `mesh.bootstrap=${json(bootstrap)}`,
  ]);
  const node = await openMeshNode({
    dataDirectory: join(directory, "node"),
    name: "library",
    bootstrap,
  });
  t.teardown(() => node.stop());
  await node.start();
  const program = new BridgeProgram(t, url, operator, authority.file);
  const all = { gateway: "alive", "pi-1": "alive", "pi-2": "alive", library: "alive" };
  await until(
    "everybody to be known in the cluster",
    async () => Object.keys(await program.states()).length === 4,
  );
  return {
    directory,
    authority,
    url,
    operator,
    gateway,
    startGateway,
    one,
    two,
    node,
    program,
    all,
    ask: (target: string, task: string, tokenFileOf = tokenFile) =>
      clientOf(t, url, { tokenFile: tokenFileOf, tls: { caFile: authority.file } })
        .exchange({ id: "q", target, task, payload: Buffer.of(), via: [], timeoutMs: 10_000 })
        .then(
          (answer) => JSON.parse(Buffer.from(answer).toString()) as Record<string, unknown>,
          (error: unknown): BridgeError => toBridgeError(error),
        ),
  };
}

t.test("from the cluster to any device of the mesh, and back", async (t) => {
  const site = await landscape(t);
  const { directory, authority, url, operator, gateway, one, two, node, program, ask } = site;

  t.same(await program.states(), site.all, "every agent, over one connection");
  t.same((await gateway.get<{ items: unknown[] }>("/v1/mesh/peers")).items, [], "no other way");
  t.match(await ask("pi-2", "describe"), {
    agentId: "pi-2",
    peerId: runInfo(two).mesh.peerId,
    state: "alive",
    health: { status: String },
    capabilities: { features: [] },
  });
  t.match(await ask("gateway", "describe"), { agentId: "gateway" }, "the gateway itself as well");
  t.match(await ask(runInfo(one).mesh.peerId, "describe"), {
    agentId: "pi-1",
    capabilities: { features: ["bridge"] },
  });
  t.match(await ask("pi-2", "restart"), { code: "bridge.denied" }, "tasks that pi-1 does not name");
  t.match(await ask("gateway", "restart"), { code: "bridge.unsupported" });
  t.match(await ask("nobody", "describe"), { code: "bridge.not-found" });

  const wrong = join(directory, "wrong.token");
  writeFileSync(wrong, `${operator.slice(0, -1)}${operator.endsWith("x") ? "y" : "x"}\n`);
  t.match(await ask("pi-2", "describe", wrong), { code: "bridge.unauthenticated" });
  const viewer = join(directory, "viewer.token");
  const viewerToken = await tokenOf(gateway, "viewer");
  writeFileSync(viewer, viewerToken);
  t.match(await ask("pi-2", "describe", viewer), { code: "bridge.denied" }, "a viewer may not ask");

  const looking = new BridgeProgram(t, url, viewerToken, authority.file);
  t.same(await looking.states(), site.all, "but look");
  const { heard } = await looking.subscribe("site-1/#");
  t.equal(await publishOverBridges(node, message("plant/line-4/t", "21.5")), 1);
  await until("what was handed over", () => heard.length === 1);
  const from = node.id;
  const via = [runInfo(one).mesh.peerId, runInfo(gateway).mesh.peerId];
  t.same(heard.splice(0), [{ topic: "site-1/plant/line-4/t", text: "21.5", from, via }]);
  const secret = await publishOverBridges(node, message("secret", "x")).then(
    String,
    (error) => error,
  );
  t.match(secret, { refusal: "bridge.denied" }, "nothing leaves that no rule names");
  await node.broadcast("plant/line-4/t", Buffer.from("nobody listens"));
  await node.broadcast("news", Buffer.from("rain"));
  await until("what was broadcast", () => heard.length > 0);
  t.same(heard, [{ topic: "site-1/news", text: "rain", from, via }], "a topic named in full");

  const orders: { text: string; from: string; origin: unknown }[] = [];
  node.subscribe("commands/light", (author, payload, { origin }) =>
    orders.push({ text: Buffer.from(payload).toString(), from: author, origin }),
  );
  const client = clientOf(t, url, {
    tokenFile: join(directory, "bridge.token"),
    tls: { caFile: authority.file },
  });
  let sent = 0;
  await until("an order from the cluster", async () => {
    sent++;
    const payload = Buffer.from("on");
    await client.publish(messageOf("site-1/commands/light", payload, { id: `order-${sent}` }));
    return orders.length > 0;
  });
  t.match(orders[0], { text: "on", from: runInfo(one).mesh.peerId, origin: { id: /^order-/ } });

  await t.test("a program of another language", async (t) => {
    const found = grpcPython();
    if ("missing" in found) {
      t.pass(`not asked: ${found.missing}`, { skip: found.missing });
      return;
    }
    const script = join(directory, "ask.py");
    copyFileSync(resolve(import.meta.dirname, "../support/grpc-peer/ask.py"), script);
    const generated = generatePython(found.python, directory);
    const args = [new URL(url).host, operator, authority.file, "pi-2", "describe"];
    t.match(await runPython(found.python, generated, script, args), {
      answer: { agentId: "pi-2" },
    });
  });

  await two.kill();
  const after = await until(
    "the death of pi-2 to be known in the cluster",
    async () => {
      const states = await program.states();
      return states["pi-2"] === "dead" && states;
    },
    120_000,
  );
  t.same(after, { ...site.all, "pi-2": "dead" });
  t.match(await ask("pi-2", "describe"), { code: /bridge\.(unreachable|timeout)/ });
});

t.test(
  "a gateway that was killed is found again; a device stays out without its token",
  async (t) => {
    const { gateway, startGateway, one, url, authority, operator, ask } = await landscape(t);
    const before = await one.get<Status>("/v1/bridge");
    t.match(before.gateways, [{ state: "attached", attached: 1 }]);
    t.match(await gateway.get<Status>("/v1/bridge"), {
      links: [{ role: "gateway", peerId: runInfo(one).mesh.peerId }],
    });
    await gateway.kill();
    const waiting = await until("the device to notice", async () => {
      const { gateways } = await one.get<Status>("/v1/bridge");
      return gateways[0]?.state === "waiting" && gateways[0];
    });
    t.match(waiting, { reason: String, retryInMs: Number });
    const again = await startGateway();
    await until("the device to attach anew", async () => {
      const { gateways } = await one.get<Status>("/v1/bridge");
      return gateways[0]?.state === "attached";
    });
    t.match((await one.get<Status>("/v1/bridge")).gateways, [{ attached: 2 }]);
    await until("an answer", async () => {
      const answer = await ask("pi-2", "describe");
      return "agentId" in answer;
    });
    const shown = await agentMesh(["bridge", "status", "--data", one.data]);
    t.match(shown.stdout, /gateway +cloud \(grpcs:.*attached/);
    const metrics = await (await again.ask("/metrics")).text();
    t.match(metrics, /agent_mesh_bridge_links 1\n/);
    t.match(metrics, /agent_mesh_bridge_calls_total\{status="OK"\} \d/);

    // A token that is taken back ends what came in with it.
    const program = new BridgeProgram(t, url, operator, authority.file);
    const id = operator.split("_")[1] ?? "";
    const revoked = await agentMesh(["token", "revoke", id, "--data", again.data]);
    t.equal(revoked.code, 0, revoked.stderr);
    await t.rejects(program.states(), { code: 16 });
    const { status } = await until(
      "the device to be turned away",
      async () => {
        const answer = await one.get<Status>("/v1/bridge");
        return answer.gateways[0]?.state === "waiting" && { status: answer.gateways[0] };
      },
      90_000,
    );
    t.match(status.reason, /credentials|token/);
    const stopped = await one.stop();
    t.equal(stopped.code, 0, "and stops in good order");
  },
);

t.test("devices and gateway know each other by certificates of their identity keys", async (t) => {
  const directory = t.testdir();
  const data = (name: string) => join(directory, name);
  for (const name of ["gateway", "pi"]) {
    const words = ["--set", `agent.id=${name}`, "--name", "127.0.0.1"];
    const out = ["--out", join(directory, `${name}.pem`)];
    const command = ["bridge", "certificate", "--data", data(name), "--json"];
    const made = await agentMesh([...command, ...words, ...out]);
    t.equal(made.code, 0, made.stderr);
    t.match(JSON.parse(made.stdout), { kind: "certificate", agentId: name, peerId: /^12D3KooW/ });
  }
  const asked = await agentMesh(["bridge", "certificate", "--data", data("pi"), "--request"]);
  t.match(asked.stdout, /^-----BEGIN CERTIFICATE REQUEST-----/);
  const file = (name: string) => join(directory, `${name}.pem`);
  const key = (name: string) => join(data(name), "identity.pem");
  const gateway = await AgentProcess.start(t, data("gateway"), [
    ...MESH,
    "agent.id=gateway",
    "bridge.listen.enabled=true",
    "bridge.listen.port=0",
    `bridge.listen.tls=${json({
      certFile: file("gateway"),
      keyFile: key("gateway"),
      caFile: file("pi"),
    })}`,
  ]);
  const { url } = runInfo(gateway).grpc ?? { url: "" };
  const tls = { caFile: file("gateway"), certFile: file("pi"), keyFile: key("pi") };
  const pi = await AgentProcess.start(t, data("pi"), [
    ...MESH,
    "agent.id=pi",
    `bridge.connect=${json([{ name: "cloud", url, tls }])}`,
  ]);
  await until("the device to be attached without any token", async () => {
    const { links } = await gateway.get<Status>("/v1/bridge");
    return links[0]?.peerId === runInfo(pi).mesh.peerId;
  });
  t.match(await latestEvents(pi, "bridge.attached"), /"role":"device","with":"gateway cloud"/);
  t.match(await latestEvents(gateway, "bridge.attached"), runInfo(pi).mesh.peerId);
});

t.test("an agent without a bridge never reads the code of one", async (t) => {
  const dist = resolve(import.meta.dirname, "../../dist");
  const text = (file: string): string => readFileSync(join(dist, file), "utf8");
  const reached = new Set<string>();
  const follow = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    // Static imports only: those of import() wait until they are asked for.
    for (const [, other = ""] of text(file).matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g))
      follow(other);
  };
  follow("agent-mesh.js");
  const withGrpc = readdirSync(dist).filter(
    (file) => file.endsWith(".js") && text(file).includes("createConnectionInjector"),
  );
  t.ok(withGrpc.length > 0 && reached.size > 2, `${withGrpc.length} of ${reached.size} files`);
  t.same(
    withGrpc.filter((file) => reached.has(file)),
    [],
  );
});

/** @returns the first lines of the agent's events of that type since its start */
async function latestEvents(agent: AgentProcess, type: string): Promise<string> {
  const admin = readFileSync(join(agent.data, "admin.token"), "utf8").trim();
  const headers = { authorization: `Bearer ${admin}`, "last-event-id": "1" };
  const response = await agent.ask(`/v1/events?types=${type}`, { headers });
  let said = "";
  for await (const chunk of response.body ?? []) {
    said += Buffer.from(chunk).toString();
    if (said.includes(`event: ${type}`) && said.endsWith("\n\n")) break;
  }
  return said;
}

function message(topic: string, text: string) {
  return { id: `${topic}-1`, topic, payload: Buffer.from(text) };
}
