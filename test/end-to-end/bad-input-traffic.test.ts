// Clients without manners, over MQTT and over REST: each gets its answer, and the readings go on.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { type Answer, RudeClient, rawPublish } from "../support/bad-input-mqtt.ts";
import { freePort } from "../support/free-port.ts";
import { Gate } from "../support/gate.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { RoadObserver } from "../support/road-observer.ts";

const CLIENTS_MAX = 500;
const UPDATE_BYTES_MAX = 262_144;
const PACKET_BYTES_MAX = 1_048_576;
/** What queues and buffers may have kept back; an agent that leaks per client or message goes far beyond. */
const RESIDENT_BYTES_MAX = 256 * 1_048_576;

t.setTimeout(600_000);

/** An agent whose readings a real broker gets. */
async function openRoad(t: Test, data: string) {
  const upstream = await startMosquitto(t, { port: await freePort() });
  const gate = await Gate.create(t, upstream.port);
  const observer = new RoadObserver();
  await observer.attach(upstream.port);
  t.teardown(() => observer.detach());
  gate.open();
  const agent = await AgentProcess.start(t, data, [
    "agent.id=pi",
    `uplinks=[{"name":"cloud","kind":"mqtt","url":"mqtt://127.0.0.1:${gate.port}"}]`,
    'mqtt.topics=[{"filter":"json/#","format":"json"},{"filter":"sensors/#"}]',
    `mqtt.broker.clientsMax=${CLIENTS_MAX}`,
    `mqtt.broker.packetBytesMax=${PACKET_BYTES_MAX}`,
    `outbox.updateBytesMax=${UPDATE_BYTES_MAX}`,
  ]);
  let readings = 0;
  return {
    agent,
    /** A well-behaved reading is taken and forwarded, and no other has slipped in between. */
    stillWorks: async (t: Test, after: string) => {
      const client = await RudeClient.connected(agent.mqttPort, "polite");
      client.raw(rawPublish(Buffer.from("sensors/polite"), Buffer.from(String(readings))));
      t.same((await client.answer()).packets, ["puback 0"], `${after}: a reading is taken`);
      client.close();
      readings++;
      await until("the reading upstream", () => observer.arrivals.length >= readings);
      t.equal(observer.arrivals.length, readings, `${after}: and forwarded`);
    },
  };
}

const big = (bytes: number): Buffer => Buffer.alloc(bytes, 0x61);
const acknowledged: Answer = { packets: ["puback 0"], closed: false };
const told = (reasonCode: number): Answer => ({
  packets: [`disconnect ${reasonCode}`],
  closed: true,
});
const refused: Answer = { packets: ["puback 135"], closed: false };

/** Topic or packet, payload, what the client hears, and the code of the dead letter if there is one. */
const messages: [name: string, bytes: Buffer, answer: Answer, deadLetter?: string][] = [
  ["a wildcard +", publish("sensors/+/a"), told(144)],
  ["a wildcard #", publish("sensors/#"), told(144)],
  ["no topic", publish(""), told(144)],
  ["a topic of the broker's own", publish("$SYS/a"), refused],
  ["a shared subscription as topic", publish("$share/a/b"), acknowledged],
  ["a control character", publish("sensors/\u0001a"), acknowledged, "topic.malformed"],
  ["a NUL", publish("sensors/\u0000"), told(129)],
  ["not UTF-8", publish(Buffer.from("sensors/\xff", "latin1")), told(129)],
  ["a long topic", publish(`sensors/${"x".repeat(600)}`), acknowledged, "topic.malformed"],
  ["many levels", publish(`sensors${"/x".repeat(40)}`), acknowledged, "topic.malformed"],
  ["broken JSON", publish("json/a", Buffer.from("{no")), acknowledged, "payload.not-json"],
  ["a big one", publish("sensors/a", big(300_000)), acknowledged, "payload.too-large"],
  [
    "a huge one",
    publish("sensors/a", big(2_000_000)),
    { packets: ["disconnect 149"], closed: true },
  ],
  ["QoS 3", rawPublish(Buffer.from("sensors/a"), big(1), 0x06), told(129)],
  ["a length without end", Buffer.from([0x32, 0xff, 0xff, 0xff, 0xff, 0xff]), told(129)],
  ["a packet of no type", Buffer.from([0, 0]), told(129)],
  ["another protocol", Buffer.from("GET / HTTP/1.1\r\n\r\n"), told(129)],
];

function publish(topic: string | Buffer, payload: Buffer = Buffer.from("1")): Buffer {
  return rawPublish(Buffer.from(topic), payload);
}

t.test("a running agent", { skip: mosquittoMissing() }, async (t) => {
  const data = join(t.testdir(), "data");
  const { agent, stillWorks } = await openRoad(t, data);
  await stillWorks(t, "at first");
  const half = RudeClient.silent(agent.mqttPort);
  half.raw(Buffer.from([0x10, 0x20, 0, 4, 0x4d, 0x51]));

  await t.test("malformed and oversize MQTT", async (t) => {
    for (const [name, bytes, answer] of messages) {
      const client = await RudeClient.connected(agent.mqttPort);
      client.raw(bytes);
      const got = await client.answer();
      t.same(got.packets, answer.packets, name);
      if (answer.closed) await until(`the end after ${name}`, () => client.closed);
      client.close();
    }
    const { code, stdout } = await agentMesh(
      `queue dead-letters list --json --data ${data}`.split(" "),
    );
    t.equal(code, 0);
    const { items } = JSON.parse(stdout) as { items: { code: string; reason: string }[] };
    t.same(
      items.map((item) => item.code),
      messages.flatMap(([, , , letter]) => letter ?? []),
      "what can not be delivered is kept, with the reason",
    );
    const reasons = items.map(({ reason }) => reason).join("\n");
    t.match(reasons, /300000 bytes are over outbox\.updateBytesMax \(262144\)/);
    t.match(reasons, /json\/# \(mqtt\.topics\) has format json/);
    t.match(agent.log, `mqtt.broker.packetBytesMax is ${PACKET_BYTES_MAX}`);
    await stillWorks(t, "after malformed MQTT");
  });

  await t.test("a bad packet right behind CONNECT", async (t) => {
    for (const [name, bytes, answer] of messages.filter(([, , { closed }]) => closed)) {
      const client = RudeClient.silent(agent.mqttPort);
      client.connectAnd(bytes);
      await until(`the end after ${name}`, () => client.closed);
      t.same((await client.answer()).packets, ["connack 0", ...answer.packets], name);
    }
  });

  await t.test("garbage instead of MQTT", async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const client = RudeClient.silent(agent.mqttPort);
      client.raw(noise(seed, 2_000));
      client.raw(noise(-seed, 2_000));
      // Some of it reads as the beginning of something long: the broker waits for the rest for a while.
      await Promise.race([until("the end", () => client.closed), delay(50)]);
      client.close();
    }
    await stillWorks(t, "after garbage");
  });

  await t.test("more clients than there is room for", async (t) => {
    const clients = Array.from({ length: 600 }, () => RudeClient.silent(agent.mqttPort));
    for (const [at, client] of clients.entries())
      client.send({ cmd: "connect", clientId: `c${at}`, clean: true, keepalive: 0 });
    const settled = (): boolean => clients.filter(({ closed }) => closed).length >= 100;
    await until("the ones too many to be turned away", settled);
    const admitted = clients.filter(({ closed }) => !closed);
    t.ok(admitted.length <= CLIENTS_MAX && admitted.length > CLIENTS_MAX - 20, "the others stay");
    t.match(agent.log, "mqtt.broker.clientsMax is reached");
    for (const client of clients) client.close();
    const left = async (): Promise<boolean> => {
      const { broker } = await agent.get<{ broker: { clients: number } }>("/v1/mqtt/mappings");
      return broker.clients === 0;
    };
    await until("all to be gone", left);
    await stillWorks(t, "after the crowd");
  });

  await t.test("tokens that are none", async (t) => {
    const good = readFileSync(join(data, "admin.token"), "utf8").trim();
    const table: [authorization: string | undefined, code: string][] = [
      [undefined, "auth.missing"],
      ["Basic YTpi", "auth.malformed"],
      ["Bearer", "auth.malformed"],
      ["Bearer x", "auth.malformed"],
      [`Bearer ${good}x`, "auth.malformed"],
      [`Bearer ${good.slice(0, -1)}`, "auth.malformed"],
      [`Bearer am_${"0".repeat(12)}_${"A".repeat(43)}`, "auth.unknown"],
      [`Bearer ${good.slice(0, 16)}${"A".repeat(43)}`, "auth.unknown"],
      [`Bearer ${"é".repeat(60)}`, "auth.malformed"],
      [`Bearer ${"x".repeat(8_000)}`, "auth.malformed"],
    ];
    for (const [authorization, code] of table) {
      const headers = authorization === undefined ? {} : { authorization };
      await problem(t, await agent.ask("/v1/queue", { headers }), 401, code);
    }
    const created = await agentMesh(`token create --name wall --json --data ${data}`.split(" "));
    const { token } = JSON.parse(created.stdout) as { token: string };
    const viewer = { authorization: `Bearer ${token}` };
    t.equal((await agent.ask("/v1/queue", { headers: viewer })).status, 200);
    const paused = await agent.ask("/v1/queue/pause", { method: "POST", headers: viewer });
    await problem(t, paused, 403, "auth.scope");
    const more = await agent.ask("/v1/tokens", { method: "POST", headers: viewer });
    await problem(t, more, 403, "auth.scope");
  });

  await t.test("requests that are none", async (t) => {
    const token = readFileSync(join(data, "admin.token"), "utf8").trim();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const post = (body: string, extra: Record<string, string> = {}): Promise<Response> =>
      agent.ask("/v1/tokens", { method: "POST", body, headers: { ...headers, ...extra } });
    await problem(t, await post("{nope"), 400, "request.malformed");
    await problem(t, await post("[]"), 400, "request.invalid");
    await problem(t, await post('{"name":5}'), 400, "request.invalid");
    await problem(t, await post('{"name":"a","scope":"root"}'), 400, "request.invalid");
    await problem(t, await post('{"__proto__":{"scope":"admin"}}'), 400, /^request\./);
    await problem(
      t,
      await post("a=b", { "content-type": "text/plain" }),
      415,
      "request.media-type",
    );
    await problem(t, await post(`{"name":"${"x".repeat(100_000)}"}`), 413, "request.too-large");
    await problem(t, await agent.ask("/v1/queue/messages?limit=-1"), 400, "request.invalid");
    await problem(t, await agent.ask("/v1/queue/messages?cursor=zzz"), 400, "request.cursor");
    await problem(t, await agent.ask("/v1/nothing"), 404, "route.not-found");
    await problem(t, await agent.ask("/v1/queue", { method: "PUT" }), 405, "route.method");
    const { items } = await agent.get<{ items: object[] }>("/v1/tokens");
    t.equal(items.length, 2, "none of them made a token");
    t.match(
      await rawHttp(agent, `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(40_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 .*request\.headers-too-large/s,
    );
    t.match(await rawHttp(agent, "nonsense\r\n\r\n"), /^HTTP\/1\.1 400 .*request\.malformed/s);
  });

  await t.test("paths that lead out of the page's directory", async (t) => {
    for (const path of [
      "/../package.json",
      "/../../package.json",
      "/%2e%2e/package.json",
      "/..%2fpackage.json",
      "/%2e%2e%2f%2e%2e%2fpackage.json",
      "/..\\package.json",
      "/docs/../../package.json",
      "/docs/%2e%2e/%2e%2e/package.json",
      "//etc/passwd",
      "/etc/passwd",
      "/index.html%00.js",
      "/%",
      "/main.js/../../main.js",
    ]) {
      const answer = await rawHttp(
        agent,
        `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      );
      t.match(answer, /^HTTP\/1\.1 40[04] .*application\/problem\+json/s, path);
      t.notMatch(answer, /root:|"license"/, path);
    }
  });

  await until("half a CONNECT to be given up", () => half.closed);
  await stillWorks(t, "after everything");
  const { residentBytes } = agent;
  t.comment(`resident: ${Math.round(residentBytes / 1_048_576)} MiB`);
  t.ok(residentBytes < RESIDENT_BYTES_MAX, `${residentBytes} bytes resident`);
  t.notMatch(agent.log, /\n\s+at |node:internal|"level":"(error|fatal)"/, "no stack trace");
  t.equal((await agent.stop()).code, 0);
});

async function problem(
  t: Test,
  response: Response,
  status: number,
  code: string | RegExp,
): Promise<void> {
  t.equal(response.status, status, `${code}`);
  t.match(response.headers.get("content-type"), "application/problem+json");
  const document = (await response.json()) as { code: string; detail: string };
  t.match(document.code, code);
  t.ok(document.detail.length > 10, "says what to do");
}

/** What comes back for bytes that no HTTP client would send. */
async function rawHttp(agent: AgentProcess, request: string): Promise<string> {
  const socket = connect(Number(new URL(agent.api).port), "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  socket.on("error", () => undefined);
  socket.write(request);
  await new Promise((done) => {
    socket.once("close", done);
  });
  return answer;
}

/** The same bytes for the same seed. */
function noise(seed: number, bytes: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length: bytes }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      return state >>> 24;
    }),
  );
}
